// getStats, once a second: the selected pair, bytes, round trip.

export class Figures {
  #cells;
  #timer = 0;
  #last = null;

  // `cells`: elements by name; `told`: called with each complete look.
  constructor(cells, told) {
    this.#cells = cells;
    this.told = told;
  }

  watch(pc) {
    this.stop();
    const look = async () => {
      try {
        this.#show(await read(pc));
      } catch {
        // The connection was closed while it was looked at.
      }
    };
    this.#timer = setInterval(look, 1000);
    pc.addEventListener("connectionstatechange", () => {
      this.#cells.state.textContent = pc.connectionState;
      look();
    });
  }

  stop() {
    clearInterval(this.#timer);
    this.#last = null;
    for (const cell of Object.values(this.#cells)) cell.textContent = "-";
  }

  #show(now) {
    if (!now) return;
    const cells = this.#cells;
    cells.local.textContent = described(now.localCandidate);
    cells.remote.textContent = described(now.remoteCandidate);
    cells.local.className = now.local;
    cells.remote.className = now.remote;
    cells.roundTrip.textContent = `${now.roundTripMs.toFixed(1)} ms`;
    cells.received.textContent = amount(now.bytesReceived, this.#rate(now, "bytesReceived"));
    cells.sent.textContent = amount(now.bytesSent, this.#rate(now, "bytesSent"));
    this.#last = now;
    this.told(now);
  }

  #rate(now, what) {
    const last = this.#last;
    if (!last || now.time <= last.time) return 0;
    return (8000 * (now[what] - last[what])) / (now.time - last.time);
  }
}

async function read(pc) {
  const stats = await pc.getStats();
  let pair = null;
  let transport = null;
  let picture = null;
  for (const one of stats.values()) {
    if (one.type === "transport") transport = one;
    if (one.type === "inbound-rtp" && one.kind === "video") picture = one;
  }
  if (transport) {
    pair = stats.get(transport.selectedCandidatePairId);
  } else {
    // Firefox has no transport; it marks the pair instead.
    for (const one of stats.values()) if (one.type === "candidate-pair" && one.selected) pair = one;
  }
  const localCandidate = pair && stats.get(pair.localCandidateId);
  const remoteCandidate = pair && stats.get(pair.remoteCandidateId);
  if (!localCandidate || !remoteCandidate) return null;
  return {
    time: pair.timestamp,
    localCandidate,
    remoteCandidate,
    local: localCandidate.candidateType,
    remote: remoteCandidate.candidateType,
    protocol: localCandidate.relayProtocol ?? localCandidate.protocol,
    bytesReceived: pair.bytesReceived ?? 0,
    bytesSent: pair.bytesSent ?? 0,
    roundTripMs: 1000 * (pair.currentRoundTripTime ?? 0),
    frames: picture?.framesDecoded ?? 0,
    width: picture?.frameWidth ?? 0,
    height: picture?.frameHeight ?? 0,
  };
}

function described({ candidateType, protocol, relayProtocol, address, port, url }) {
  const where = address ? ` ${address.includes(":") ? `[${address}]` : address}:${port}` : "";
  const how = relayProtocol ? `, reached by ${relayProtocol}` : "";
  return `${candidateType} ${protocol}${where}${how}${url ? ` (${url})` : ""}`;
}

function amount(bytes, rate) {
  const mega = bytes / 1e6;
  const size = mega >= 1 ? `${mega.toFixed(1)} MB` : `${(bytes / 1e3).toFixed(0)} kB`;
  return `${size}, ${(rate / 1000).toFixed(0)} kbit/s`;
}
