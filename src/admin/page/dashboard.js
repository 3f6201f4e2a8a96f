// Asks for the figures, again and again, and shows them.

const PAUSE = 2000;
const REFUSALS = ["stale", "tie", "future", "unstamped_refused", "denied"];
const PASSAGES = ["accepted", "unstamped", "unordered", "deleted"];

let span = "recent";
let answered = 0;
// The token lives as long as the tab.
let token = sessionStorage.getItem("token");

const rate = (name) => (sample) => sample[name] / sample.seconds;
const sum = (names) => (sample) => names.reduce((total, name) => total + sample[name], 0) / sample.seconds;

const charts = {
  passed: new Chart("passed", PASSAGES.map((name) => ({ name, read: rate(name) })).concat({ name: "all requests", read: rate("requests") }), count),
  refused: new Chart("refused", REFUSALS.map((name) => ({ name: words(name), read: rate(name) })).concat({ name: "only observed", read: rate("observed") }), count),
  latency: new Chart(
    "latency",
    [
      { name: "client p50", read: (sample) => sample.client_p50 },
      { name: "client p99", read: (sample) => sample.client_p99 },
      { name: "backend p50", read: (sample) => sample.backend_p50 },
      { name: "backend p99", read: (sample) => sample.backend_p99 },
    ],
    lasting,
    true,
  ),
  load: new Chart(
    "load",
    [
      { name: "sessions", read: (sample) => sample.sessions },
      { name: "in flight", read: (sample) => sample.in_flight },
      { name: "lanes up", read: (sample) => sample.lanes },
    ],
    count,
  ),
};

async function ask(path) {
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const answer = await fetch(`/api/${path}`, { headers, cache: "no-store", signal: AbortSignal.timeout(8000) });
  if (answer.status === 401 || answer.status === 403) find("login").hidden = false;
  if (!answer.ok) throw new Error(`/api/${path}: ${answer.status}`);
  return answer.json();
}

// From one list for each figure to one object for each moment.
const samplesOf = ({ columns }) =>
  columns.at.map((_, at) => Object.fromEntries(Object.entries(columns).map(([name, list]) => [name, list[at]])));

const mark = (kind, text) => {
  const element = find("state");
  element.className = kind;
  element.textContent = text;
};

const horizon = (age) => {
  if (age < 0) return `${lasting(-age)} ahead of the clock: keys that are not known are read first`;
  // Ten years: that is no stamp, but the beginning.
  if (age > 315360000) return "before all stamps: no key has been forgotten";
  return `${lasting(age)} behind the clock: later writes of forgotten keys are read first`;
};

const LIES = {
  nowhere: "no such digits",
  minute: "within a minute of the clock",
  hour: "within an hour",
  day: "within a day",
  year: "within a year",
  older: "older than a year",
  future: "in the future",
  timeless: "stamps that are no times",
};

function showStamps(stamps, digits, share) {
  const all = Object.values(stamps).reduce((total, number) => total + number, 0);
  const stamped = all - stamps.nowhere;
  const doubt = stamps.future + stamps.older > stamped / 10 ? " Do those far from the clock carry a stamp? If not, see stamp.digits, and use mode observe meanwhile." : "";
  find("stamps-note").textContent =
    `${share(stamped, all)} of the values written since the start begin with ${digits} digits, and so look stamped. When those times lie:${doubt}`;
  bars("stamps", Object.entries(LIES).map(([name, text]) => [text, stamps[name]]));
}

function showStatus(status, backends) {
  const down = backends.filter(({ state }) => state !== "up" && state !== "standby");
  if (!status.ready) mark("bad", `✗ not ready: ${status.why_not}`);
  else if (down.length > 0) mark("warn", `▲ ready, but ${down.map(({ url, state }) => `${url} is ${state}`).join(", ")}`);
  else mark("good", "✓ ready");
  const setting = (name) => (status.settings.find(([key]) => key === name) ?? [, "?"])[1].replaceAll('"', "");
  find("about").textContent =
    `${status.version}, mode ${setting("guard.mode")}, clients at ${status.listeners.join(", ")}, ` +
    `up for ${lasting(status.now - status.started)} since ${day(status.started)}`;

  const { ledger, counts } = status;
  const share = (part, whole) => `${round((100 * part) / Math.max(1, whole))} %`;
  list("ledger", [
    ["Memory", `${bytes(ledger.bytes)} of ${bytes(ledger.bytes_max)} (${share(ledger.bytes, ledger.bytes_max)})`],
    ["Keys", `${count(ledger.entries)} of ${count(ledger.entries_max)}`],
    ["Horizon", horizon(ledger.horizon_age_seconds)],
    ["Given up for want of room", count(ledger.evicted)],
    ["Under way or unknown", `${count(ledger.pending_keys)} keys`],
    ["Held for clients", `${bytes(status.buffered_bytes)} of ${bytes(status.buffered_max_bytes)}`],
  ]);
  bars("interventions", Object.entries(counts.interventions).map(([name, number]) => [words(name), number]));
  showStamps(counts.stamps, setting("stamp.digits"), share);
  const told = (tally) => {
    const some = Object.entries(tally).filter(([, number]) => number > 0);
    return some.map(([name, number]) => `${words(name)} ${count(number)}`).join(", ") || "none";
  };
  list("counts", [
    ["Verdicts", told(counts.verdicts)],
    ["Only observed", told(counts.observed)],
    ["Requests", told(counts.requests)],
    ["Read back", told(counts.lookups)],
    ["Waits", told(counts.waits)],
    ["Sessions ended", told(counts.sessions_closed)],
    ["Lanes given up", told(counts.lanes_fenced)],
  ]);
  list("settings", status.settings);
}

function showBackends(backends) {
  const sign = { up: "✓ up", degraded: "▲ degraded", down: "✗ down", standby: "– not needed now" };
  list("backends", backends.map((backend) => [
    backend.url,
    backend.lanes_wanted === 0
      ? `${sign[backend.state]}${backend.state === "standby" ? "" : ", in this process"}`
      : `${sign[backend.state]}: ${backend.lanes_up} of ${backend.lanes_wanted} lanes, ${count(backend.in_flight)} in flight`,
  ]));
  const row = (lane) => [
    `${lane.worker}.${lane.link}${lane.bulk ? " large values" : ""}`,
    `${sign[lane.state]} for ${lasting(lane.for_seconds)}${lane.fencing > 0 ? `, ${lane.fencing} being fenced` : ""}`,
    count(lane.requests),
    bytes(lane.unsent_bytes),
    count(lane.connected),
    lane.round_trip_seconds === null ? "–" : `${round(1e3 * lane.round_trip_seconds)} ms, clock ${round(1e3 * lane.clock_offset_seconds)} ms ahead`,
    lane.last_fault ?? "–",
  ];
  const names = ["Worker.lane", "State", "Requests", "Unsent", "Connected", "Round trip to its guard", "Last fault"];
  table("lanes", names, backends.flatMap(({ lanes }) => lanes).map(row), "No lanes: the store is in this process.");
}

function showRefusals(refusals, clients, keys) {
  find("refusals-note").textContent = `The last ${refusals.length}, newest first. Keys are ${keys} (admin_keys); values are never kept.`;
  const lateness = ({ off_by_seconds: seconds, reason }) =>
    seconds === null ? "–" : reason === "future" ? `${lasting(seconds)} ahead` : lasting(seconds);
  const who = (one) => {
    const name = one.certificate === null ? one.client : `${one.client} (${one.certificate})`;
    if (one.edge === null) return name;
    const { name: edge, from, certificate } = one.edge;
    return `${name} through ${edge} at ${from}${certificate === null ? "" : ` (${certificate})`}`;
  };
  const refusal = (one) => [
    day(one.at),
    one.key,
    one.protocol === "binary" ? who(one) : `${who(one)} (${one.protocol})`,
    words(one.reason) + (one.enforced ? "" : " (observed)"),
    one.stamp ?? "–",
    one.newer ?? "–",
    lateness(one),
  ];
  table("refusals", ["Time", "Key", "Client", "Why", "Stamp", "Newer stamp", "How late"], refusals.slice(0, 50).map(refusal), "Nothing was refused.");
  const client = (one) => [
    who(one),
    (one.at_most_too_high > 0 ? "≤ " : "") + count(one.refusals),
    count(one.stale),
    one.stale > 0 ? lasting(one.latest_by_seconds) : "–",
    count(one.future),
    one.future > 0 ? lasting(one.ahead_by_seconds) : "–",
    day(one.last),
  ];
  table("clients", ["Client", "Refusals", "Stale", "Latest by", "In the future", "Ahead by", "Last"], clients.slice(0, 20).map(client), "Nobody was refused.");
}

function showEdges(edges) {
  const row = (edge) => [
    (edge.name ?? "–") + (edge.certificate === null ? "" : ` (${edge.certificate})`),
    edge.from,
    edge.release,
    day(edge.since),
    count(edge.clients),
    count(edge.requests),
    count(edge.owed),
  ];
  const names = ["Edge", "From", "Release", "Linked since", "Clients", "Requests", "Without an answer"];
  table("edges", names, edges.map(row), "No edge is linked to this guard.");
}

function showHistory(history, status, backends) {
  const samples = samplesOf(history);
  for (const chart of Object.values(charts)) chart.show(samples, history.span_seconds);
  const bounds = history.stale_age_bounds;
  const names = bounds.map((bound, at) => (at === 0 ? `up to ${lasting(bound)}` : `${lasting(bounds[at - 1])} to ${lasting(bound)}`));
  names.push(`over ${lasting(bounds[bounds.length - 1])}`);
  bars("ages", names.map((name, at) => [name, history.stale_ages[at]]));
  find("ages-note").textContent = `Stale writes of the last ${lasting(history.span_seconds)}, by how much older they were than what was stored.`;

  const last = samples[samples.length - 1];
  const figure = (read) => (last === undefined ? "–" : read(last));
  const refused = samples.reduce((all, sample) => all + REFUSALS.reduce((some, name) => some + sample[name], 0), 0);
  const lanes = backends.reduce((all, { lanes_up: up }) => all + up, 0);
  const wanted = backends.reduce((all, { lanes_wanted: one }) => all + one, 0);
  const tiles = [
    ["Requests per second", figure((sample) => count(rate("requests")(sample))), ""],
    ["Refused per second", figure((sample) => count(sum(REFUSALS)(sample))), `${count(refused)} in ${lasting(history.span_seconds)}`],
    ["Client p99", figure((sample) => lasting(sample.client_p99)), figure((sample) => `p50 ${lasting(sample.client_p50)}`)],
    ["Backend p99", figure((sample) => lasting(sample.backend_p99)), figure((sample) => `p50 ${lasting(sample.backend_p50)}`)],
    ["Sessions", count(status.sessions.open), `of ${count(status.sessions.max)}`],
    ["Lanes up", wanted === 0 ? "–" : `${lanes} of ${wanted}`, wanted === 0 ? "store in this process" : ""],
  ];
  const tile = ([name, value, more]) => make("div", { class: "tile" }, make("span", {}, name), make("b", {}, value), make("small", {}, more));
  find("tiles").replaceChildren(...tiles.map(tile));
}

// One after the other: the server serves a few connections at a time.
async function refresh() {
  const [status, backends] = [await ask("status"), await ask("backends")];
  const [refusals, clients] = [await ask("refusals"), await ask("clients")];
  const history = await ask(`history/${span}`);
  showStatus(status, backends);
  showBackends(backends);
  showEdges(await ask("edges"));
  showRefusals(refusals, clients, status.keys);
  showHistory(history, status, backends);
  answered = Date.now();
  find("login").hidden = true;
  document.body.dataset.fresh = String(answered);
}

async function poll() {
  if (!document.hidden) {
    try {
      await refresh();
    } catch (error) {
      const since = answered === 0 ? "" : `; the figures are of ${clock(answered / 1000)}`;
      mark("bad", `✗ no answer from ttguard (${error.message})${since}`);
    }
  }
  setTimeout(poll, PAUSE);
}

for (const name of ["recent", "hour"]) {
  find(name).addEventListener("click", () => {
    span = name;
    for (const other of ["recent", "hour"]) find(other).setAttribute("aria-pressed", String(other === name));
    refresh().catch((error) => mark("bad", `✗ ${error.message}`));
  });
}
find("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value;
  sessionStorage.setItem("token", token);
  refresh().catch((error) => mark("bad", `✗ ${error.message}`));
});
poll();
