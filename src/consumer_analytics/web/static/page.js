// What pages do beyond links and forms. All of it works without, a little less conveniently.

// The version in this file's address is the version of all of them.
const { localize } = await import(`./times.js${new URL(import.meta.url).search}`);

// -- a table that follows what is typed ---------------------------------------------

const WAIT = 250;
let timer = 0;
let pending = null;
const BETWEEN_LOOKS = 2000;
let again = 0;

/** Fetch a page's results and put them in place of those shown. */
async function refresh(url, { push }) {
  const results = document.getElementById("results");
  pending?.abort();
  pending = new AbortController();
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { signal: pending.signal, headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("results");
    if (!answer.ok || !fresh) {
      location.assign(url);
      return;
    }
    const focused = results.contains(document.activeElement)
      ? document.activeElement.getAttribute("data-keep-focus")
      : null;
    results.replaceChildren(...fresh.childNodes);
    results.toggleAttribute("data-poll", fresh.hasAttribute("data-poll"));
    history[push ? "pushState" : "replaceState"](null, "", url);
    document.dispatchEvent(new CustomEvent("swapped"));
    localize(results);
    if (focused) results.querySelector(`[data-keep-focus="${CSS.escape(focused)}"]`)?.focus();
    const told = document.getElementById("told");
    told.textContent = results.querySelector("[data-told]")?.textContent ?? "";
    count();
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
  } finally {
    results.removeAttribute("aria-busy");
    poll();
  }
}

/** Look again at what goes on. */
function poll() {
  clearTimeout(again);
  if (!document.querySelector("#results[data-poll]")) return;
  again = setTimeout(() => refresh(new URL(location.href), { push: false }), BETWEEN_LOOKS);
}
poll();

/** The address that a form leads to, empty fields left out. */
function address(form) {
  const url = new URL(form.getAttribute("action") || location.pathname, location.href);
  url.search = "";
  for (const [name, value] of new FormData(form)) {
    if (value !== "") url.searchParams.append(name, value);
  }
  return url;
}

const live = document.querySelector("form[data-live]");
live?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => refresh(address(live), { push: false }), WAIT);
});
live?.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  refresh(address(live), { push: true });
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("#results a[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  refresh(new URL(link.href), { push: true });
});
if (document.getElementById("results")) {
  // Not where a link within the page was followed: the skip link is one.
  let shown = location.search;
  document.addEventListener("swapped", () => (shown = location.search));
  window.addEventListener("popstate", () => {
    if (location.search !== shown) location.reload();
  });
}

// -- consumers chosen for comparison ---------------------------------------------------

const MOST = 8;

function count() {
  const button = document.querySelector("[data-compare]");
  if (!button) return;
  const boxes = [...document.querySelectorAll("input[name='consumer'][type='checkbox']")];
  const chosen = boxes.filter((box) => box.checked).length;
  button.disabled = chosen < 2;
  button.textContent = chosen < 2 ? "Compare (choose two or more)" : `Compare ${chosen}`;
  for (const box of boxes) box.disabled = !box.checked && chosen >= MOST;
}
document.addEventListener("change", (event) => {
  if (event.target.matches("input[name='consumer'][type='checkbox']")) count();
});
window.addEventListener("pageshow", count);
count();

// -- odds and ends -------------------------------------------------------------------------

for (const menu of document.querySelectorAll("details.custom")) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const link = button.dataset.copy
    ? new URL(button.dataset.copy, location.href).href
    : location.href;
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = "Copied";
  } catch {
    window.prompt("The link:", link);
  }
  setTimeout(() => (button.textContent = said), 1500);
});

for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
