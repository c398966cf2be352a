// Why a search found a row: asked for when the rows are shown already, and put below each.
(() => {
  "use strict";

  async function show() {
    const list = document.querySelector("[data-said-from]");
    if (!list) return;
    const answer = await fetch(list.dataset.saidFrom, { headers: { "X-Requested-With": "fetch" } });
    if (!answer.ok || answer.redirected) return;
    const said = new DOMParser().parseFromString(await answer.text(), "text/html");
    const lines = new Map([...said.querySelectorAll("template")].map((line) => [line.dataset.said, line.content]));
    for (const place of list.querySelectorAll("[data-said-of]")) {
      const line = lines.get(place.dataset.saidOf);
      if (line) place.replaceChildren(document.importNode(line, true));
    }
  }

  document.addEventListener("DOMContentLoaded", () => { show().catch(() => {}); });
})();
