"use strict";
// Keeps what is shown current: every few seconds the same page is fetched, and the parts that changed are put in place.
// A part in which somebody has ticked or typed something, or stands with the keyboard in a field, is left alone.
(() => {
  const EVERY_MS = 5000;
  const told = document.getElementById("told");
  let last = "";

  const inUse = (part) =>
    [...part.querySelectorAll("input:not([type=hidden])")].some((i) => i.checked || i === document.activeElement);

  function put(part, fresh) {
    if (part.innerHTML === fresh.innerHTML || inUse(part)) return;
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = part.querySelector(".scroll")?.scrollLeft ?? 0;
    part.replaceChildren(...fresh.childNodes);
    if (scrolled) part.querySelector(".scroll")?.scrollTo(scrolled, 0);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  function say() {
    const words = [...document.querySelectorAll("[data-told]")].map((p) => p.innerText.replace(/\s+/g, " ").trim()).join(" ");
    if (last && words !== last) told.textContent = words;
    last = words;
  }

  async function refresh() {
    if (document.hidden) return;
    const url = new URL(location.href);
    url.searchParams.delete("said");
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (fresh) put(part, fresh);
    }
    if (Boolean(document.getElementById("failed")) !== Boolean(page.getElementById("failed")) && !inUse(document)) {
      location.replace(url);
    }
    document.title = page.title;
    say();
  }

  if (document.querySelector("[data-live]:not(#health)")) {
    say();
    setInterval(() => refresh().catch(() => {}), EVERY_MS);
    document.addEventListener("visibilitychange", () => refresh().catch(() => {}));
  }
})();
