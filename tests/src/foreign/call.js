// One side of a call: `?role=caller` or `?role=callee`. It speaks with the other side through the
// server that it came from, and ends with a POST of what it saw (SideReport in call.rs).
"use strict";

const SAMPLE_MS = 250;
const CHUNK = 16 * 1024;
const HIGH_WATER = 1024 * 1024;

const role = new URLSearchParams(location.search).get("role");
const other = role === "caller" ? "callee" : "caller";
const started = performance.now();

const report = {
  candidates: [],
  candidate_errors: [],
  selected: null,
  selected_changes: 0,
  connected_after_ms: null,
  bytes_received: 0,
  bytes_sent: 0,
  payload_received: 0,
  longest_gap_ms: 0,
  longest_standstill_ms: 0,
  sent_sha256: null,
  received_sha256: null,
  failure: null,
};

const post = (path, to, value) =>
  fetch(`${path}?role=${to}`, { method: "POST", body: JSON.stringify(value) });

// Browsers give up what they are fetching when an address of their machine comes or goes, which
// says nothing about the relay; asking again costs nobody a message.
async function get(path) {
  for (let tries = 1; ; tries++) {
    try {
      return await (await fetch(path)).json();
    } catch (error) {
      if (!(error instanceof TypeError) || tries === 5) throw error;
      await sleep(SAMPLE_MS);
    }
  }
}

let ended = false;
const end = (failure) => {
  if (ended) return;
  ended = true;
  if (failure) report.failure = String(failure);
  post("/result", role, report);
};
window.addEventListener("error", (event) => end(event.message));
window.addEventListener("unhandledrejection", (event) => end(event.reason));

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const sha256 = async (bytes) => {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

function connect(configuration) {
  const pc = new RTCPeerConnection({
    iceServers: configuration.ice_servers[role],
    iceTransportPolicy: "relay",
  });
  pc.addEventListener("icecandidate", ({ candidate }) => {
    if (!candidate || !candidate.candidate) return;
    report.candidates.push({
      kind: candidate.type,
      protocol: candidate.protocol,
      address: candidate.address,
      port: candidate.port,
      url: candidate.url ?? null,
    });
    if (configuration.scenario !== "gather") post("/messages", other, { candidate });
  });
  pc.addEventListener("icecandidateerror", (event) => {
    report.candidate_errors.push({ code: event.errorCode, text: event.errorText, url: event.url });
  });
  pc.addEventListener("connectionstatechange", () => {
    if (pc.connectionState === "connected") {
      report.connected_after_ms ??= Math.round(performance.now() - started);
    } else if (pc.connectionState === "failed") {
      end("the connection failed");
    }
  });
  return pc;
}

// Offer, answer and candidates, until the page is closed.
async function negotiate(pc) {
  const early = []; // candidates that came before the description that they belong to
  if (role === "caller") {
    await pc.setLocalDescription();
    await post("/messages", other, { description: pc.localDescription });
  }
  for (let after = 0; !ended; ) {
    const messages = await get(`/messages?role=${role}&after=${after}`);
    after += messages.length;
    for (const { description, candidate } of messages) {
      if (candidate && !pc.remoteDescription) {
        early.push(candidate);
      } else if (candidate) {
        await pc.addIceCandidate(candidate);
      } else {
        await pc.setRemoteDescription(description);
        if (description.type === "offer") {
          await pc.setLocalDescription();
          await post("/messages", other, { description: pc.localDescription });
        }
        for (const one of early.splice(0)) await pc.addIceCandidate(one);
      }
    }
  }
}

// Adds one look at getStats to the report and returns when it was taken and the payload so far.
async function sample(pc) {
  const stats = await pc.getStats();
  let transport = null;
  let payload = 0;
  for (const one of stats.values()) {
    if (one.type === "transport") transport = one;
    if (one.type === "inbound-rtp" || one.type === "data-channel") payload += one.bytesReceived;
  }
  const pair = transport && stats.get(transport.selectedCandidatePairId);
  if (!pair) return null;
  const candidate = (id) => {
    const one = stats.get(id);
    return {
      kind: one.candidateType,
      protocol: one.protocol,
      address: one.address,
      port: one.port,
      relay_protocol: one.relayProtocol ?? null,
      url: one.url ?? null,
    };
  };
  report.selected_changes = transport.selectedCandidatePairChanges - 1;
  report.selected = {
    local: candidate(pair.localCandidateId),
    remote: candidate(pair.remoteCandidateId),
    round_trip_ms: 1000 * (pair.currentRoundTripTime ?? 0),
  };
  report.bytes_received = transport.bytesReceived;
  report.bytes_sent = transport.bytesSent;
  report.payload_received = payload;
  return { time: transport.timestamp, payload };
}

// Looks every 250 ms for so many seconds after the first payload. A gap reaches from a sample that
// showed growth to the next that did; a standstill is the part of it that samples prove.
async function watch(pc, seconds) {
  let first = null;
  let last = null; // the last sample
  let grown = null; // the last sample that showed growth
  while (!first || last.time - first.time < 1000 * seconds) {
    const now = await sample(pc);
    if (now && now.payload > 0) {
      first ??= now;
      grown ??= now;
      if (now.payload > grown.payload) {
        report.longest_gap_ms = Math.max(report.longest_gap_ms, now.time - grown.time);
        grown = now;
      } else {
        report.longest_standstill_ms =
          Math.max(report.longest_standstill_ms, now.time - grown.time);
      }
      last = now;
    }
    await sleep(SAMPLE_MS);
  }
  report.longest_gap_ms = Math.max(report.longest_gap_ms, last.time - grown.time);
}

// Sends random bytes and takes as many, and keeps the hash of both.
async function exchange(channel, size) {
  channel.binaryType = "arraybuffer";
  channel.bufferedAmountLowThreshold = HIGH_WATER / 2;
  const received = new Uint8Array(size);
  let filled = 0;
  const all = new Promise((resolve, reject) => {
    channel.addEventListener("message", ({ data }) => {
      if (filled + data.byteLength > size) return reject("more came than was sent");
      received.set(new Uint8Array(data), filled);
      filled += data.byteLength;
      if (filled === size) resolve();
    });
    channel.addEventListener("close", () => reject("the data channel closed"));
  });
  if (channel.readyState !== "open") {
    await new Promise((resolve) => channel.addEventListener("open", resolve, { once: true }));
  }
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += CHUNK) crypto.getRandomValues(bytes.subarray(at, at + CHUNK));
  for (let at = 0; at < size; at += CHUNK) {
    if (channel.bufferedAmount > HIGH_WATER) {
      await new Promise((resolve) =>
        channel.addEventListener("bufferedamountlow", resolve, { once: true }));
    }
    channel.send(bytes.subarray(at, at + CHUNK));
  }
  await all;
  report.sent_sha256 = await sha256(bytes);
  report.received_sha256 = await sha256(received);
}

async function main() {
  const configuration = await get("/configuration");
  const pc = connect(configuration);
  if (configuration.scenario === "gather") {
    const complete = new Promise((resolve) =>
      pc.addEventListener("icegatheringstatechange", () => {
        if (pc.iceGatheringState === "complete") resolve();
      }));
    pc.createDataChannel("gather");
    await pc.setLocalDescription();
    await complete;
  } else if (configuration.scenario === "data") {
    const channel = role === "caller"
      ? Promise.resolve(pc.createDataChannel("data"))
      : new Promise((resolve) =>
        pc.addEventListener("datachannel", (event) => resolve(event.channel), { once: true }));
    negotiate(pc).catch(end);
    await exchange(await channel, configuration.bytes);
    // The numbers of getStats are up to a second behind what arrived.
    do await sleep(SAMPLE_MS); while (!(await sample(pc)));
  } else {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    for (const track of media.getTracks()) pc.addTrack(track, media);
    negotiate(pc).catch(end);
    await watch(pc, configuration.seconds);
  }
  end();
}

main().catch(end);
