// Backends and pages as they are written for other relays, with another URL and another key. Prints
// what each would give to RTCPeerConnection: { SHAPE: [RTCIceServer] }.
const [base, id, key] = process.argv.slice(1);

const ok = async (response, status) => {
  if (response.status !== status) throw new Error(`${response.url}: ${response.status}`);
  return response;
};
const bearer = { Authorization: `Bearer ${key}` };
const basic = { Authorization: `Basic ${Buffer.from(`${id}:${key}`).toString("base64")}` };
const json = { ...bearer, "Content-Type": "application/json" };
const configurations = {};

// RTCConfiguration, by GET and by POST.
const w3c = await ok(await fetch(`${base}/v1/credentials?user=alice&tag=web`, { headers: bearer }), 200);
configurations.w3c = (await w3c.json()).iceServers;
const posted = await fetch(`${base}/v1/credentials`,
  { method: "POST", headers: json, body: JSON.stringify({ user: "alice", ttl: 600 }) });
configurations.posted = (await (await ok(posted, 200)).json()).iceServers;
const entered = await fetch(`${base}/v1/credentials`, { headers: basic });
configurations.basic = (await (await ok(entered, 200)).json()).iceServers;

// Cloudflare: the backend passes the answer on, 201, and the page gives it to RTCPeerConnection; the
// older route has one object.
for (const route of ["generate-ice-servers", "generate"]) {
  const response = await fetch(`${base}/v1/turn/keys/${id}/credentials/${route}`,
    { method: "POST", headers: json, body: JSON.stringify({ ttl: 7200, customIdentifier: "web" }) });
  const configuration = await (await ok(response, 201)).json();
  configurations[`cloudflare ${route}`] = [configuration.iceServers].flat();
}

// Metered: a bare array with a stun: entry, one URL each.
const list = await (await ok(await fetch(`${base}/api/v1/turn/credentials?apiKey=${key}`), 200)).json();
if (!Array.isArray(list) || !list.some(({ urls }) => urls.startsWith("stun:"))) throw new Error("no list");
configurations.metered = list;

// The TURN REST draft; Matrix's /voip/turnServer has the same members.
const rest = await fetch(`${base}/turn?service=turn&username=alice&key=${key}`);
const { username, password, ttl, uris } = await (await ok(rest, 200)).json();
if (!(Number.isInteger(ttl) && ttl > 0)) throw new Error(`ttl ${ttl}`);
configurations.rest = [{ urls: uris, username, credential: password }];

// Twilio: Basic authentication with the account's id, a form, 201; its library calls ice_servers
// iceServers and takes the rest as text and dates.
const twilio = await fetch(`${base}/2010-04-01/Accounts/${id}/Tokens.json`,
  { method: "POST", headers: basic, body: new URLSearchParams({ Ttl: "3600" }) });
const token = await (await ok(twilio, 201)).json();
if (token.ttl !== "3600" || token.account_sid !== id || Number.isNaN(Date.parse(token.date_created)))
  throw new Error(JSON.stringify(Object.keys(token)));
if (token.ice_servers.some(({ url, urls }) => url !== urls)) throw new Error("url is not urls");
configurations.twilio = token.ice_servers;
const only = token.ice_servers.find(({ username }) => username);
if (only.username !== token.username || only.credential !== token.password) throw new Error("token");

// WHIP and WHEP (RFC 9725 section 4.6): Link headers, which fetch joins by commas.
const link = await ok(await fetch(`${base}/v1/credentials?format=link`, { headers: bearer }), 204);
configurations.link = link.headers.get("link").split(/,\s*(?=<)/).map((value) => {
  const [, urls, parameters] = value.match(/^<([^>]+)>(.*)$/);
  const of = (name) => parameters.match(new RegExp(`; ${name}="((?:[^"\\\\]|\\\\.)*)"`))?.[1].replace(/\\(.)/g, "$1");
  if (of("rel") !== "ice-server") throw new Error(value);
  if (urls.startsWith("turn") && of("credential-type") !== "password") throw new Error(value);
  return { urls, username: of("username"), credential: of("credential") };
});

console.log(JSON.stringify(configurations));
