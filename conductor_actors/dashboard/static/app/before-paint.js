// What must have happened before the first paint; a classic script, because modules come later.

// A token leaves the address at once, and stays out of the tab's history.
(() => {
  const takeToken = () => {
    const [, token, route] = /^#token=([^&]*)&?(.*)$/.exec(location.hash) ?? [];
    if (token === undefined) return;
    sessionStorage.setItem("token", token);
    history.replaceState(null, "", `${location.pathname}${location.search}#${route || "/"}`);
    dispatchEvent(new Event("token-taken"));
  };
  takeToken();
  addEventListener("hashchange", takeToken);
})();

// A chosen theme, or the system's.
(() => {
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset["theme"] = theme;
})();
