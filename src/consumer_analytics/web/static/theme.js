// Light or dark, decided before the first paint: what was chosen here, else Airflow's
// choice where the page stands inside Airflow, else the system's.
(() => {
  const KEY = "consumer-analytics.theme";
  const root = document.documentElement;
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const embedded = window.self !== window.top;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const known = (theme) => (theme === "light" || theme === "dark" ? theme : null);

  function apply() {
    const theme =
      known(stored(KEY)) ??
      (embedded ? known(stored("theme")) : null) ??
      (system.matches ? "dark" : "light");
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("themechange"));
  }

  root.classList.toggle("embedded", embedded);
  root.classList.add("scripted");
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Without storage the choice lasts as long as the page.
      root.dataset.theme = next;
      document.dispatchEvent(new CustomEvent("themechange"));
      return;
    }
    apply();
  });
})();
