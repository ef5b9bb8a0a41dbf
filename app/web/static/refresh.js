"use strict";
// Keeps what is shown current: every few seconds the same page is fetched, and the parts that changed are put in place.
// A part in which somebody has ticked or typed something, or selects text, is left alone until that is over.
(() => {
  class Outdated extends Error {}
  const EVERY_MS = 5000;
  const ANSWER_MS = 10000;
  const told = document.getElementById("told");
  const stale = document.getElementById("stale");
  let last = "";
  let current = new Date();

  // What came of an order is told once, not again whenever the page is loaded.
  const here = new URL(location.href);
  if (here.searchParams.has("said")) {
    here.searchParams.delete("said");
    history.replaceState(null, "", here);
  }

  function inUse(part) {
    const selection = getSelection();
    const selects = selection && !selection.isCollapsed && selection.containsNode(part, true);
    const fields = [...part.querySelectorAll("input:not([type=hidden])")];
    return selects || fields.some((field) => field.checked || field === document.activeElement);
  }

  function put(part, fresh) {
    if (part.innerHTML === fresh.innerHTML || inUse(part)) return;
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = part.querySelector(".scroll")?.scrollLeft ?? 0;
    part.replaceChildren(...fresh.childNodes);
    if (scrolled) part.querySelector(".scroll")?.scrollTo(scrolled, 0);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  function say() {
    const words = document.querySelector("[data-told]")?.innerText.replace(/\s+/g, " ").trim() ?? "";
    if (last && words !== last) told.textContent = words;
    last = words;
  }

  async function fetched() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.redirected) throw new Outdated("the login has ended");
    if (answer.status === 404) throw new Outdated("there is nothing to show any more");
    if (!answer.ok) throw new Outdated(`the provider answers with the error ${answer.status}`);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  async function refresh() {
    if (document.hidden) return;
    try {
      const page = await fetched();
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) put(part, fresh);
      }
      document.title = page.title;
      current = new Date();
      stale.hidden = true;
      say();
    } catch (error) {
      stale.querySelector("b").textContent = current.toLocaleTimeString();
      stale.querySelector("span").textContent = error instanceof Outdated ? error.message : "the provider does not answer";
      stale.hidden = false;
    }
  }

  async function keepCurrent() {
    await refresh();
    setTimeout(keepCurrent, EVERY_MS);
  }

  if (document.querySelector("[data-live]:not(#health)")) {
    say();
    setTimeout(keepCurrent, EVERY_MS);
    document.addEventListener("visibilitychange", refresh);
  }
})();
