// Times come in UTC, as <time datetime>. They are shown in the user's zone, which is named,
// or in UTC: a switch, remembered, and part of a link that carries `tz=UTC`.

const KEY = "consumer-analytics.zone";
const own = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

function chosen() {
  const asked = new URLSearchParams(location.search).get("tz");
  if (asked === "UTC") return "UTC";
  try {
    return localStorage.getItem(KEY) === "UTC" ? "UTC" : own;
  } catch {
    return own;
  }
}

let current = chosen();
const formats = new Map();

function format(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat("en-CA", { timeZone: zone, hourCycle: "h23", ...options }));
  }
  return formats.get(key);
}

const DAY = { year: "numeric", month: "2-digit", day: "2-digit" };
const MINUTE = { ...DAY, hour: "2-digit", minute: "2-digit" };
const SECOND = { ...MINUTE, second: "2-digit" };

function parts(date, zone, options) {
  const found = {};
  for (const { type, value } of format(zone, options).formatToParts(date)) found[type] = value;
  return found;
}

/** The zone that times are shown in. */
export const zone = () => current;

/** An instant as 2026-11-25 14:30, in the zone shown; with seconds where they are asked for. */
export function say(date, { seconds = false, zone: at = current } = {}) {
  const p = parts(date, at, seconds ? SECOND : MINUTE);
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}${seconds ? `:${p.second}` : ""}`;
}

function offset(date) {
  return parts(date, current, { timeZoneName: "longOffset" }).timeZoneName || "";
}

/** Write every time below a node in the zone shown. */
export function localize(root = document) {
  for (const node of root.querySelectorAll("time[datetime]")) {
    const date = new Date(node.dateTime);
    if (Number.isNaN(date.valueOf())) continue;
    const seconds = "seconds" in node.dataset;
    node.textContent = say(date, { seconds });
    node.title = `${say(date, { seconds: true, zone: "UTC" })} UTC`;
  }
}

function announce() {
  const utc = current === "UTC";
  for (const node of document.querySelectorAll("[data-zone-name]")) {
    const at = offset(new Date()).replace("GMT", "UTC");
    node.textContent = utc || at === "UTC" ? current : `${current} (${at})`;
  }
  for (const button of document.querySelectorAll("[data-zone-toggle]")) {
    button.hidden = own === "UTC";
    button.textContent = utc ? `Use ${own}` : "Use UTC";
  }
  localize();
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-zone-toggle]")) return;
  current = current === "UTC" ? own : "UTC";
  try {
    localStorage.setItem(KEY, current === "UTC" ? "UTC" : "");
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  const url = new URL(location.href);
  url.searchParams.delete("tz");
  history.replaceState(null, "", url);
  announce();
  document.dispatchEvent(new CustomEvent("zonechange"));
});

announce();
