// The list of this side's candidates, and what went wrong while they were gathered.

export class CandidateList {
  #rows;
  #gathering;
  #problems;
  #began = 0;
  count = 0;

  constructor(rows, gathering, problems) {
    this.#rows = rows;
    this.#gathering = gathering;
    this.#problems = problems;
  }

  watch(pc) {
    this.#rows.replaceChildren();
    this.count = 0;
    this.#began = performance.now();
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.candidate) this.#add(candidate);
    });
    pc.addEventListener("icecandidateerror", (event) => this.#problems.add(explain(event)));
    pc.addEventListener("icegatheringstatechange", () => {
      if (pc.iceGatheringState === "gathering") this.#gathering.textContent = "Gathering ...";
      if (pc.iceGatheringState !== "complete") return;
      this.#gathering.textContent = `Gathering took ${this.#elapsed()} s.`;
      if (!this.#rows.querySelector(".relay")) {
        this.#problems.add("No relay candidate: calls through the TURN server will not work. " +
          "The reason stands above; if nothing does, a firewall swallows the packets.");
      }
    });
  }

  #add(candidate) {
    this.count += 1;
    const row = this.#rows.insertRow();
    const protocol = candidate.relayProtocol
      ? `${candidate.protocol} (relay by ${candidate.relayProtocol})`
      : candidate.protocol;
    const cells = [
      this.#elapsed(), candidate.type, protocol, candidate.address, candidate.port,
      readable(candidate.priority), candidate.foundation, candidate.url ?? "",
    ];
    for (const text of cells) row.insertCell().textContent = text ?? "";
    if (candidate.type === "relay") row.cells[1].className = "relay";
  }

  #elapsed() {
    return ((performance.now() - this.#began) / 1000).toFixed(3);
  }
}

// RFC 8445 section 5.1.2.1: type preference, local preference, component.
function readable(priority) {
  if (priority == null) return "";
  return `${priority >>> 24} | ${(priority >> 8) & 0xffff} | ${priority & 0xff}`;
}

// An icecandidateerror in words.
export function explain({ errorCode, errorText, url }) {
  const said = errorText ? ` (${errorText})` : "";
  switch (errorCode) {
    case 300: return `${url}: the server sends clients to another one (300)${said}, which browsers do not follow.`;
    case 400: return `${url}: the server did not understand the request${said}; is it a TURN server?`;
    case 401: return `${url}: name or password is wrong, or has expired (401). Leave and join again; if it stays, secret and realm of application and server differ.`;
    case 403: return `${url}: the server forbids it (403)${said}; its log or its operator knows why.`;
    case 437: return `${url}: the server has lost this allocation, most often by a restart (437).`;
    case 441: return `${url}: other credentials than before (441); reload the page.`;
    case 486: return `${url}: this user has as many allocations as allowed (486, limits.allocations_per_user).`;
    case 500: return `${url}: the server cannot tell now whether the credential is good (500); its log says why.`;
    case 508: return `${url}: the server has no relay port left (508), or takes no new calls because it drains.`;
    case 701: return `${url}: no answer. Is the server running, is the address right, does a firewall let it pass?`;
    default: return `${url}: error ${errorCode}${said}.`;
  }
}
