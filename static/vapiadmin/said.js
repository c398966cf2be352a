// Why a search found a row: asked for when the rows are shown already, and put below each.
(() => {
  "use strict";

  // An address of more than 4,094 characters is refused.
  const LONGEST = 3500;

  function addresses(list, places) {
    const found = [];
    for (const place of places) {
      const row = `&row=${encodeURIComponent(place.dataset.saidOf)}`;
      if (!found.length || found.at(-1).length + row.length > LONGEST) found.push(list.dataset.saidFrom);
      found[found.length - 1] += row;
    }
    return found;
  }

  async function show(address, places) {
    const answer = await fetch(address);
    if (!answer.ok || answer.redirected) return;
    const said = new DOMParser().parseFromString(await answer.text(), "text/html");
    const lines = new Map([...said.querySelectorAll("template")].map((line) => [line.dataset.said, line.content]));
    for (const place of places) {
      const line = lines.get(place.dataset.saidOf);
      if (line) place.replaceChildren(document.importNode(line, true));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const list = document.querySelector("[data-said-from]");
    const places = list ? [...list.querySelectorAll("[data-said-of]")] : [];
    for (const address of addresses(list, places)) show(address, places).catch(() => {});
  });
})();
