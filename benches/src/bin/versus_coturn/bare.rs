//! The bare forwarder in the same rounds: what the sockets alone cost on this machine, without TURN.

use std::{
    io::{BufRead, BufReader},
    net::UdpSocket,
    path::Path,
    process::{Child, Stdio},
};

use anyhow::Context;
use turn_benches::{Floor, pinned};
use turn_client::load::Plan;

/// One run of the program `floor` under this load, with a nap of so many microseconds.
pub(crate) fn measure(
    program: &Path,
    [server_core, load_core]: [u32; 2],
    plan: &Plan,
    nap: u64,
) -> anyhow::Result<Floor> {
    // An address that no other socket of the measurement is bound to.
    let peer = UdpSocket::bind("127.0.0.2:0")?.local_addr()?.to_string();
    let transport = plan.transport.name();
    let mut forward = pinned(server_core, program);
    forward.args(["forward", "--sockets", &plan.allocations.to_string(), "--peer", &peer]);
    forward.args(["--nap", &nap.to_string(), "--transport", &transport]).stdout(Stdio::piped());
    let mut forwarder = Forwarder(forward.spawn().context("cannot start taskset")?);
    let mut ports = String::new();
    let stdout = forwarder.0.stdout.as_mut().context("stdout is piped")?;
    BufReader::new(stdout).read_line(&mut ports)?;

    let sizes: Vec<_> = plan.sizes.iter().map(ToString::to_string).collect();
    let mut load = pinned(load_core, program);
    load.args(["load", "--direction", &plan.direction.name(), "--transport", &transport]);
    load.args(["--ports", ports.trim()]);
    load.args(["--peer", &peer, "--pid", &forwarder.0.id().to_string()]);
    load.args(["--sizes", &sizes.join(","), "--window", &plan.window.to_string()]);
    load.args(["--milliseconds", &plan.milliseconds.to_string()]);
    if let Some(rate) = plan.rate {
        load.args(["--rate", &rate.to_string()]);
    }
    let output = load.stderr(Stdio::inherit()).output().context("cannot start taskset")?;
    anyhow::ensure!(output.status.success(), "the load of the bare forwarder failed");
    serde_json::from_slice(&output.stdout).context("the load prints a report")
}

/// A child that does not outlive its measurement.
struct Forwarder(Child);

impl Drop for Forwarder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
