// What makes a conversation live: sending without leaving, the answer while it grows, news. Every
// page works without.
"use strict";

(() => {
  const LONGEST = 4000; // characters of a message; the server says so as well
  const SEND_MS = 30000; // a server that takes longer is not there
  const LISTEN_MS = 1000; // how long a first message waits for the stream
  const SILENCE_MS = 40000; // the stream beats every 15 s
  const LIST_MS = 5000; // how often a list of conversations looks again
  const NEAR_END = 80; // pixels: who is this near to the end reads along

  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const talk = one("[data-talk]");

  document.documentElement.classList.add("js");

  // Times. The server writes them; here they stay true, and become local.

  const DAY_MS = 86400000;
  const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());

  function span(ms) {
    const minutes = Math.floor(ms / 60000);
    if (minutes < 1) return "just now";
    if (minutes < 60) return `${minutes} min ago`;
    const hours = Math.floor(minutes / 60);
    return hours < 24 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`;
  }

  function tellTimes(from = document) {
    const now = new Date();
    for (const element of all("time[data-when]", from)) {
      const at = new Date(element.dateTime);
      const clock = element.dataset.when === "said" && now - at >= 3600000;
      const text = clock ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : span(now - at);
      if (element.textContent !== text) element.textContent = text;
      element.title = at.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
    }
  }

  function dayOf(at) {
    const days = Math.round((midnight(new Date()) - midnight(at)) / DAY_MS);
    if (days === 0 || days === 1) return days ? "Yesterday" : "Today";
    const year = at.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
    return at.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", ...year });
  }

  // A day begins at another moment here than on the server.
  function tellDays() {
    const lines = one("[data-lines]");
    all("[data-day]", lines).forEach((each) => each.remove());
    let before = "";
    for (const line of all("[data-line]", lines)) {
      const at = new Date(one("time", line).dateTime);
      const day = dayOf(at);
      if (day !== before) {
        const mark = document.createElement("li");
        mark.className = "day";
        mark.dataset.day = "";
        mark.append(Object.assign(document.createElement("span"), { textContent: day }));
        line.before(mark);
      }
      before = day;
    }
  }

  function say(text) {
    one("#status").textContent = text;
  }

  function stale(text) {
    const strip = one("#offline");
    const told = navigator.onLine ? text : "You are offline. What you write is sent when you are back.";
    strip.hidden = !told;
    if (strip.textContent !== told) strip.textContent = told;
  }

  setInterval(tellTimes, 20000);
  tellTimes();
  if (one("[data-waiting]")) keepList(one("[data-waiting]"));
  if (talk) converse();

  // The list of conversations that wait.

  function keepList(list) {
    let before = list.innerHTML;
    const look = async () => {
      if (document.hidden) return;
      const answer = await fetch(list.dataset.waiting, { headers: { "x-part": "yes" } });
      if (!answer.ok) return stale("The list may be out of date: the server refuses it. Reload the page.");
      const html = await answer.text();
      stale("");
      const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : "";
      if (html !== before) list.innerHTML = html;
      before = html;
      tellTimes(list);
      if (focused) one(`a[href="${CSS.escape(focused)}"]`, list)?.focus();
    };
    const again = () => look().catch(() => stale("The list may be out of date: the server does not answer."));
    setInterval(again, LIST_MS);
    document.addEventListener("visibilitychange", again);
  }

  // One conversation.

  function converse() {
    const { me, reader } = talk.dataset;
    let { id, address } = talk.dataset;
    const log = one("[data-log]");
    const lines = one("[data-lines]");
    const waiting = one("[data-pending]");
    const live = one("[data-live]");
    const form = one("[data-composer]");
    const box = form?.elements.text;
    let last = Number(talk.dataset.last);
    let begun = !("empty" in talk.dataset);

    // What a tab keeps belongs to who wrote it: the next may be somebody else.
    const kept = (name) => `${name}:${reader}`;

    // A first message that was on its way when the page was left belongs to the talk of that page.
    const FIRST = kept("first-message-of");
    if (!begun && sessionStorage.getItem(FIRST)) {
      address = address.replace(id, () => sessionStorage.getItem(FIRST));
      id = sessionStorage.getItem(FIRST);
    }

    // Where the reader is: who reads along stays at the end, who reads above is not moved.

    const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
    const toEnd = () => (log.scrollTop = log.scrollHeight);
    const jump = one("[data-jump]");
    let following = true;

    function grow(change) {
      const along = following;
      change();
      if (along) toEnd();
      return along;
    }

    log.addEventListener("scroll", () => {
      following = atEnd();
      if (following) jump.hidden = true;
    }, { passive: true });
    jump.addEventListener("click", () => {
      jump.hidden = true;
      toEnd();
    });

    // What is read anew: lines, cards, who answers, the other talks.

    let asking = null;
    let askAgain = false;

    function refresh() {
      if (!begun) return Promise.resolve();
      if (asking) {
        askAgain = true;
        return asking;
      }
      asking = look()
        .then(() => stale(""))
        .catch(() => stale("Not live: the server does not answer. What you see may be old."))
        .finally(() => (asking = null))
        .then(() => {
          if (!askAgain) return;
          askAgain = false;
          return refresh();
        });
      return asking;
    }

    async function look() {
      const answer = await fetch(`${address}/news?after=${last}`, { headers: { "x-part": "yes" } });
      if (answer.status === 401 || answer.status === 404) return location.reload();
      if (!answer.ok) throw new Error(`news: ${answer.status}`);
      const holder = document.createElement("template");
      holder.innerHTML = await answer.text();
      const news = one("[data-news]", holder.content);
      const fresh = all("[data-new] [data-line]", news).filter((line) => Number(line.dataset.line) > last);
      const along = grow(() => {
        fresh.forEach(addLine);
        all("[data-cards] > *", news).forEach(renewCard);
        if (fresh.length) tellDays();
        tellTimes(talk);
      });
      renewFrame(news);
      if (news.dataset.owed === "no") endLive();
      else if (live.hidden) showLive("");
      if (fresh.length && !along && fresh.some((line) => !line.matches(".mine"))) jump.hidden = false;
    }

    function addLine(line) {
      last = Number(line.dataset.line);
      const { author } = line.dataset;
      if (author === me) settle(one("[data-text]", line).textContent);
      if (author !== "customer") endLive();
      lines.append(line);
    }

    function renewCard(card) {
      const { case: name, form: kind, mark } = card.dataset;
      for (const old of all(`[data-case="${CSS.escape(name)}"][data-form="${kind}"]`, lines)) {
        if (old.dataset.mark === mark) continue;
        const copy = card.cloneNode(true);
        copy.classList.add("fresh");
        old.replaceWith(copy);
        const status = one(".chip", copy).textContent;
        if (kind === "whole") say(`Case ${name}: ${status}`);
      }
    }

    function renewFrame(news) {
      const head = one("[data-head]", news);
      const old = one("[data-head]", talk);
      if (old.dataset.writes !== head.dataset.writes) return location.reload(); // what is typed is kept
      const [was, is] = [old, head].map((each) => one("h1", each).textContent);
      document.title = document.title.replace(was, () => is);
      if (old.dataset.mark !== head.dataset.mark && !old.contains(document.activeElement)) old.replaceWith(head);
      for (const part of ["[data-side]", "[data-beside]"]) {
        const now = one(part);
        const next = one(part, news);
        if (!now || !next || now.contains(document.activeElement) || now.innerHTML === next.innerHTML) continue;
        now.replaceChildren(...next.childNodes);
        tellTimes(now);
      }
    }

    // The answer while it grows. Its beginning is only known to who listened before it began.

    const growing = { answer: "", whole: false, heardStart: false };

    function showLive(text) {
      if (live.hidden) say("The assistant is writing.");
      grow(() => {
        live.hidden = false;
        const place = one("[data-text]", live);
        if (text === undefined) return;
        place.textContent = text;
        one("[data-dots]", live).hidden = Boolean(text);
      });
    }

    function endLive() {
      live.hidden = true;
      one("[data-text]", live).textContent = "";
      one("[data-dots]", live).hidden = false;
    }

    function hearTyping(on) {
      growing.heardStart = on;
      if (on) return showLive("");
      refresh().then(() => {
        if (!growing.heardStart) endLive();
      });
    }

    function hearDelta({ answer, text }) {
      if (growing.answer !== answer) {
        growing.whole = growing.heardStart;
        growing.answer = answer;
        growing.text = "";
      }
      growing.text += text;
      showLive(growing.whole ? growing.text : "");
    }

    let pending = [];

    // The stream. A hidden tab closes it: browsers keep only six connections to a server.

    let source = null;
    let heard = 0;
    let again = 1000;

    function listen() {
      if (source || document.hidden || !(begun || pending.length)) return;
      growing.heardStart = false;
      growing.answer = "";
      source = new EventSource(`${address}/stream`);
      heard = Date.now();
      const hear = (name, act) =>
        source.addEventListener(name, (event) => {
          heard = Date.now();
          event.target.heard = true;
          again = 1000;
          act(event.data);
        });
      hear("changed", () => refresh());
      hear("beat", () => one("[data-open]", talk) && refresh());
      hear("typing", (word) => hearTyping(word === "on"));
      hear("delta", (data) => hearDelta(JSON.parse(data)));
      source.addEventListener("error", () => {
        growing.heardStart = false;
        growing.answer = "";
        refresh(); // who cannot listen looks, and says so where that fails as well
        if (source?.readyState !== EventSource.CLOSED) return; // else the browser tries again itself
        hush();
        setTimeout(listen, again);
        again = Math.min(again * 2, 30000);
      });
    }

    // Who listens before the first message is sent hears its answer from the beginning. The first
    // event says that the server listens; "open" comes earlier than that.
    function listening() {
      listen();
      if (!source || source.heard) return Promise.resolve();
      return new Promise((done) => {
        source.addEventListener("changed", done);
        setTimeout(done, LISTEN_MS);
      });
    }

    function hush() {
      source?.close();
      source = null;
    }

    setInterval(() => {
      if (!begun || document.hidden || Date.now() - heard < SILENCE_MS) return;
      stale("Not live: the server does not answer. What you see may be old.");
      hush();
      listen();
    }, 5000);
    document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
    window.addEventListener("pagehide", hush);
    window.addEventListener("pageshow", listen);

    // What is written here, `pending`. It shows at once, is kept in this tab until it stands among the lines,
    // and is sent again under the same id, so that it counts once.

    const keep = { pending: kept(`pending:${id}`), draft: kept(begun ? `draft:${id}` : "draft:new") };
    let sending = Promise.resolve();

    const words = (text) => text.trim().split(/\s+/).join(" ");
    const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");

    function store() {
      const items = pending.map(({ id: item, text, base, told, refused }) => ({ id: item, text, base, told, refused }));
      if (items.length) sessionStorage.setItem(keep.pending, JSON.stringify(items));
      else sessionStorage.removeItem(keep.pending);
    }

    function settle(text) {
      const item = pending.find((each) => words(each.shown ?? each.text) === words(text));
      if (item) drop(item);
    }

    const stands = (item) =>
      all(`[data-author="${me}"]`, lines).some(
        (line) => Number(line.dataset.line) > item.base && words(one("[data-text]", line).textContent) === words(item.shown),
      );

    function drop(item) {
      item.element?.remove();
      pending = pending.filter((each) => each !== item);
      store();
    }

    function draw(item) {
      if (!item.element) {
        item.element = document.createElement("li");
        const head = document.createElement("div");
        const text = Object.assign(document.createElement("p"), { className: "bubble said", textContent: item.text });
        const state = Object.assign(document.createElement("div"), { className: "state" });
        text.dataset.text = "";
        head.className = "line-head";
        head.append(Object.assign(document.createElement("b"), { textContent: talk.dataset.name ?? "You" }));
        item.element.append(head, text, state);
        grow(() => waiting.append(item.element));
      }
      item.element.className = `line line-${me} mine ${item.state}`;
      const state = one(".state", item.element);
      state.classList.toggle("state-failed", item.state === "failed");
      if (item.shown) one("[data-text]", item.element).textContent = item.shown;
      const told = { sending: "Sending\u2026", sent: "Sent", failed: `Not sent. ${item.told ?? ""}` }[item.state];
      grow(() => state.replaceChildren(Object.assign(document.createElement("span"), { textContent: told })));
      if (item.state !== "failed" || !form) return;
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Try again" });
      button.addEventListener("click", () => {
        post(item);
        box.focus();
      });
      state.append(button);
    }

    function post(item) {
      item.state = "sending";
      if (!begun) one("[data-hello]").hidden = true;
      draw(item);
      sending = sending.then(() => send(item));
    }

    async function send(item) {
      if (!begun) await listening();
      let status = 0;
      let told = navigator.onLine ? "The server does not answer." : "You are offline.";
      try {
        const answer = await fetch(`${address}/messages`, {
          method: "POST",
          headers: { "x-part": "yes" },
          body: new URLSearchParams({ text: item.text, message_id: item.id, as: reader }),
          signal: AbortSignal.timeout(SEND_MS),
        });
        status = answer.status;
        told = await answer.text();
      } catch {
        // told above
      }
      if (!pending.includes(item)) return; // it stands among the lines already
      if (status === 202) accepted(item, told);
      else if (status === 401) location.reload();
      else if (status === 422 || status === 413 || status === 403) giveBack(item, told);
      else {
        item.state = "failed";
        item.told = status >= 500 ? told : told || "Try again.";
        item.unheard = status === 0;
        item.refused = status >= 400 && status < 500;
        draw(item);
        store();
      }
    }

    // `shown` is the text as it will stand among the lines; it may stand there already.
    function accepted(item, shown) {
      item.state = "sent";
      item.shown = shown;
      if (stands(item)) drop(item);
      else draw(item);
      if (!begun) begin();
      refresh();
    }

    // The first message was taken: the page of a new talk becomes the page of this one.
    function begin() {
      begun = true;
      one("[data-hello]")?.remove();
      history.replaceState(null, "", address);
      sessionStorage.removeItem(FIRST);
      sessionStorage.removeItem(keep.draft);
      keep.draft = kept(`draft:${id}`);
      listen();
    }

    // It will never be taken as it is: back into the box, with the reason.
    function giveBack(item, told) {
      drop(item);
      if (!begun && !pending.length) {
        sessionStorage.removeItem(FIRST);
        one("[data-hello]").hidden = false;
      }
      box.value = [item.text, box.value].filter(Boolean).join("\n\n");
      trouble(told);
      measure();
      box.focus();
    }

    function trouble(text) {
      const place = one("[data-trouble]", form);
      place.hidden = !text;
      one("span", place).textContent = text;
    }

    function measure() {
      const count = one("[data-count]", form);
      const { length } = [...box.value.trim()]; // an emoji is one character for the server
      count.textContent = length > LONGEST - 400 ? `${length.toLocaleString()} of ${LONGEST.toLocaleString()}` : "";
      count.classList.toggle("over", length > LONGEST);
      if (box.value) sessionStorage.setItem(keep.draft, box.value);
      else sessionStorage.removeItem(keep.draft);
    }

    function write() {
      const text = box.value.trim();
      if (!text) return;
      box.value = "";
      trouble("");
      measure();
      const item = { id: newId(), text, base: last };
      pending.push(item);
      store();
      following = true;
      jump.hidden = true;
      if (!begun) sessionStorage.setItem(FIRST, id);
      post(item);
    }

    // What was on its way when the page was left: either it stands among the lines, or it goes again.
    // What was refused waits for its author, and so does all of it where nobody may write any more.
    function resume() {
      const said = all(`[data-author="${me}"]`, lines);
      for (const item of JSON.parse(sessionStorage.getItem(keep.pending) ?? "[]")) {
        const at = said.findIndex(
          (line) => Number(line.dataset.line) > item.base && words(one("[data-text]", line).textContent) === words(item.text),
        );
        if (at >= 0) said.splice(at, 1);
        else pending.push(item);
      }
      store();
      if (form) return pending.forEach((item) => (item.refused ? fail(item) : post(item)));
      const draft = sessionStorage.getItem(keep.draft);
      const told = "It is kept in this tab until you may write here again.";
      for (const item of pending) fail(item, told);
      if (draft) fail({ text: draft }, told);
    }

    function fail(item, told = item.told) {
      draw(Object.assign(item, { state: "failed", told }));
    }

    // A browser that goes to "#end" takes the focus from the box, and on a phone scrolls the whole
    // page along with the log.
    if (location.hash === "#end") {
      history.replaceState(null, "", location.pathname + location.search);
      window.scrollTo(0, 0);
    }

    if (form) {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        write();
      });
      box.addEventListener("input", measure);
      box.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        write();
      });
      for (const example of all("[data-fill]")) {
        example.addEventListener("click", (event) => {
          event.preventDefault();
          box.value = example.dataset.fill;
          measure();
          box.focus();
        });
      }
      if (!box.value) box.value = sessionStorage.getItem(keep.draft) ?? "";
      measure();
      if (matchMedia("(pointer: fine)").matches) box.focus();
      window.addEventListener("online", () => pending.filter((each) => each.unheard).forEach(post));
    }

    // A phone's keyboard leaves less of the window than the style sheet can know.
    const view = window.visualViewport;
    const fit = () => {
      document.documentElement.style.setProperty("--height", `${Math.round(view.height * view.scale)}px`);
      if (following && begun) toEnd();
    };
    view?.addEventListener("resize", fit);

    tellDays();
    resume();
    if (begun) toEnd();
    listen();
  }

  window.addEventListener("online", () => stale(""));
  window.addEventListener("offline", () => stale(""));
})();
