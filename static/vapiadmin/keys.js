// Keys: j and k go from row to row in a list and from session to session of the list last seen; ? shows all keys.
(() => {
  "use strict";

  const ROWS = "va-rows";
  const ABOUT = [
    ["/", "Search"],
    ["j / k", "Next, previous: row of a list, or session of the list last seen"],
    ["Enter", "Open the row"],
    ["f", "Find in the conversation"],
    ["n", "Next failed tool call"],
    ["?", "These keys"],
  ];

  const links = () => [...document.querySelectorAll("a[data-row-link]")].filter((link) => link.offsetParent);

  function rememberRows() {
    if (!document.querySelector(".va-table--session")) return;
    sessionStorage.setItem(ROWS, JSON.stringify(links().map((link) => link.pathname + link.search)));
  }

  function stepThroughRows(step) {
    const rows = links();
    const next = rows[rows.indexOf(document.activeElement) + step] || (step > 0 ? rows[0] : rows.at(-1));
    if (next) next.focus();
    return rows.length > 0;
  }

  function stepThroughSessions(step) {
    const rows = JSON.parse(sessionStorage.getItem(ROWS) || "[]");
    const here = rows.findIndex((row) => row.split("?")[0] === location.pathname);
    if (here >= 0 && rows[here + step]) location.assign(rows[here + step]);
  }

  function nextFailure() {
    const failed = [...document.querySelectorAll(".va-tool--failed[id]")];
    if (!failed.length) return;
    const here = failed.findIndex((call) => `#${call.id}` === location.hash);
    location.hash = failed[(here + 1) % failed.length].id;
  }

  function showKeys() {
    const dialog = document.createElement("dialog");
    dialog.className = "va-keys";
    dialog.setAttribute("aria-label", "Keys");
    const list = document.createElement("dl");
    for (const [key, words] of ABOUT) {
      const term = document.createElement("dt"), about = document.createElement("dd");
      term.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      about.textContent = words;
      list.append(term, about);
    }
    const close = Object.assign(document.createElement("button"), { type: "button", className: "va-button", textContent: "Close" });
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    dialog.append(Object.assign(document.createElement("h2"), { textContent: "Keys" }), list, close);
    document.body.append(dialog);
    dialog.showModal();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const step = { j: 1, k: -1 }[event.key];
    if (step) stepThroughRows(step) || stepThroughSessions(step);
    else if (event.key === "n") nextFailure();
    else if (event.key === "?") showKeys();
  }

  document.addEventListener("keydown", onKey);
  document.addEventListener("DOMContentLoaded", rememberRows);
})();
