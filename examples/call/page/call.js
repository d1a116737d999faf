// One call: an RTCPeerConnection and what it says to the other side through the signalling. Both
// sides may offer at any time; where two offers meet, the polite side gives way.

export class Call extends EventTarget {
  #signalling;
  #polite;
  #offering = false;
  #ignoring = false;
  #early = [];
  #work = Promise.resolve();

  constructor(signalling, iceServers, stream, { polite, relayOnly }) {
    super();
    this.#signalling = signalling;
    this.#polite = polite;
    this.iceServers = iceServers;
    this.pc = new RTCPeerConnection(this.#configuration(relayOnly));
    this.pc.addEventListener("negotiationneeded", () => this.#offer());
    this.pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.candidate) signalling.send("candidate", { candidate: candidate.toJSON() });
    });
    for (const track of stream.getTracks()) this.pc.addTrack(track, stream);
  }

  // Changes the policy and looks for another way at once.
  relayOnly(isOn) {
    this.pc.setConfiguration(this.#configuration(isOn));
    this.pc.restartIce();
  }

  // Messages are taken one after the other: each waits for what the one before has changed.
  take(message) {
    this.#work = this.#work.then(() => this.#take(message)).catch((error) => {
      this.dispatchEvent(new CustomEvent("problem", { detail: String(error) }));
    });
  }

  close() {
    this.pc.close();
  }

  #configuration(relayOnly) {
    return { iceServers: this.iceServers, iceTransportPolicy: relayOnly ? "relay" : "all" };
  }

  async #offer() {
    this.#offering = true;
    try {
      await this.pc.setLocalDescription();
      this.#signalling.send("offer", { sdp: this.pc.localDescription.sdp });
    } catch (error) {
      if (this.pc.signalingState !== "closed") {
        this.dispatchEvent(new CustomEvent("problem", { detail: String(error) }));
      }
    } finally {
      this.#offering = false;
    }
  }

  async #take({ type, sdp, candidate }) {
    const pc = this.pc;
    if (pc.signalingState === "closed") return;
    if (type === "candidate") {
      if (this.#ignoring) return;
      if (!pc.remoteDescription) this.#early.push(candidate);
      else await pc.addIceCandidate(candidate);
      return;
    }
    const collides = type === "offer" && (this.#offering || pc.signalingState !== "stable");
    this.#ignoring = collides && !this.#polite;
    if (this.#ignoring) return;
    await pc.setRemoteDescription({ type, sdp });
    if (type === "offer") {
      await pc.setLocalDescription();
      this.#signalling.send("answer", { sdp: pc.localDescription.sdp });
    }
    for (const one of this.#early.splice(0)) await pc.addIceCandidate(one);
  }
}
