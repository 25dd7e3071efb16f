// Runs before the first paint. A classic script, because modules are deferred.

// Move a token from the address to the storage of this tab, and keep it out of the history.
(() => {
  const storeToken = () => {
    const [, token, route] = /^#token=([^&]*)&?(.*)$/.exec(location.hash) ?? [];
    if (token === undefined) return;
    tabStorage.set("token", token);
    history.replaceState(null, "", `${location.pathname}${location.search}#${route || "/"}`);
    dispatchEvent(new Event("token-stored"));
  };
  storeToken();
  addEventListener("hashchange", storeToken);
})();

// Apply the chosen theme, if any. The stylesheet follows the system otherwise.
(() => {
  const theme = browserStorage.get("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset["theme"] = theme;
})();
