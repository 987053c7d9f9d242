// What makes the dashboard quick: keys, live rows, held approval, drafts. Every page works without.
"use strict";

(() => {
  const HOLD_MS = 700; // the style sheet fills the button in the same time
  const LOOK_MS = 500; // a panel that has just come takes no decision
  const NOTICES = 3; // decisions that can be taken back at the foot of the page
  const PREVIEW_MS = 120; // j j j opens one panel, not three
  const REFRESH_MS = 1000; // at most one look at the inbox in this time
  const SILENCE_MS = 40000; // the stream beats every 15 s
  const DOWN_MS = 5000; // a stream that broke off may come back unnoticed in this time
  const NEXT_LIMIT = 5; // rows that an answer may go on with
  const ADDRESS_LIMIT = 8000; // characters; what is longer is sent as a body
  const GONE_LIMIT = 20; // rows that left the view and are still kept up to date

  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const inbox = one("[data-inbox]");
  const listed = () => all(".row-link");
  const approval = () => one("[data-approval]");
  const panelKey = () => approval()?.dataset.key ?? "";
  const me = document.body.dataset.me;
  const stacked = matchMedia("(max-width: 900px)"); // list and panel take turns
  const narrow = matchMedia("(max-width: 1180px)"); // the filters are a menu

  document.documentElement.classList.add("js");

  function say(text) {
    one("#status").textContent = text;
  }

  // Times. The server writes them; here they stay true, and become local.

  function span(ms, rough = false) {
    const seconds = Math.max(0, Math.floor(ms / 1000));
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return minutes % 60 && hours < 10 && !rough ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    const days = Math.floor(hours / 24);
    return hours % 24 && days < 10 && !rough ? `${days} d ${hours % 24} h` : `${days} d`;
  }

  function clock(at) {
    const time = { hour: "2-digit", minute: "2-digit" };
    const today = at.toDateString() === new Date().toDateString();
    return at.toLocaleString([], today ? time : { day: "numeric", month: "short", ...time });
  }

  function tellTime(element, now) {
    const at = new Date(element.dateTime);
    const left = at - now;
    let text = "";
    if (element.dataset.when === "clock") text = clock(at);
    else if (element.dataset.when === "ago") text = left > -60000 ? "just now" : `${span(-left, true)} ago`;
    else text = left <= 0 ? `overdue ${span(-left, true)}` : `in ${span(left)}`;
    if (element.dataset.when === "until") {
      element.classList.toggle("when-late", left <= 0);
      element.classList.toggle("when-soon", left > 0 && left < 3600000);
    }
    if (element.textContent !== text) element.textContent = text;
    if (!element.dataset.local) {
      element.dataset.local = "yes";
      element.title = at.toLocaleString([], { dateStyle: "medium", timeStyle: "long" });
    }
  }

  function tellTimes(from = document) {
    const now = new Date();
    all("time[data-when]", from).forEach((element) => tellTime(element, now));
  }

  function countDown() {
    const now = new Date();
    for (const element of all("[data-until]")) {
      all("time", element).forEach((time) => tellTime(time, now));
      if (new Date(element.dataset.until) > now) continue;
      delete element.dataset.until;
      if (element.dataset.notice) refreshNotice(element);
      else element.remove();
    }
  }

  // The list: which row is open, which are selected.

  function markOpen() {
    const key = panelKey();
    for (const link of listed()) {
      link.setAttribute("aria-selected", String(link.id === `option-${key}`));
    }
    // A problem that came instead of an approval is read as well.
    document.body.classList.toggle("has-open", Boolean(inbox && (key || one("#panel [data-trouble]"))));
  }

  function currentLink() {
    const focused = document.activeElement?.closest?.(".row");
    return (focused && one(".row-link", focused)) ?? one('.row-link[aria-selected="true"]');
  }

  function follow(selector, otherwise) {
    const link = one(selector);
    link ? link.click() : say(otherwise);
  }
  const goOn = () => follow(".crumbs .next", "This was the last one.");
  const goBack = () => follow(".crumbs a", "There is no list here.");

  // The rows to go on with: those after the open one, then those before it. The server knows better
  // than this page which of them still waits.
  function nextRows() {
    const rows = all(".row");
    const at = rows.findIndex((row) => row.dataset.key === panelKey());
    const around = at < 0 ? [] : [...rows.slice(at + 1), ...rows.slice(0, at).reverse()];
    return around.filter((row) => !row.matches(".ended, .gone, .held")).slice(0, NEXT_LIMIT);
  }

  // Where list and panel take turns, the list is found again where it was left.
  let listAt = 0;
  let stepped = false; // whether one step back leads to the list

  function closePanel() {
    stepped = false;
    document.body.classList.remove("has-open");
    one('.row-link[aria-selected="true"]')?.focus({ preventScroll: true });
    scrollTo(0, listAt);
  }

  let preview = 0;
  function move(step) {
    const links = listed();
    if (!links.length) return step > 0 ? goOn() : goBack();
    const at = links.indexOf(currentLink());
    const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    clearTimeout(preview);
    if (next.getAttribute("aria-selected") !== "true") preview = setTimeout(() => next.click(), PREVIEW_MS);
  }

  function countSelected() {
    const bulk = one("#bulk");
    if (!bulk) return;
    const count = all('.row input[type="checkbox"]:checked').length;
    bulk.classList.toggle("some", count > 0);
    one("[data-count]", bulk).textContent = `${count} selected`;
  }

  function ownRows() {
    const box = one("#listbox");
    if (box) box.setAttribute("aria-owns", listed().map((link) => link.id).join(" "));
  }

  // Live rows. The stream says that something changed; what changed is asked for.

  let tag = "";
  let told = null; // the first page of this view, as it was last told
  let asked = 0;
  let waiting = 0;
  const gone = new Set();

  function refreshSoon() {
    if (waiting) return;
    waiting = setTimeout(() => {
      waiting = 0;
      asked = Date.now();
      refresh().catch(() => stale("The list may be out of date: the server does not answer."));
    }, Math.max(100, asked + REFRESH_MS - Date.now()));
  }

  async function refresh() {
    const watched = all("[data-notice][data-watch]");
    await Promise.all([refreshRows(), refreshApproval(), ...watched.map(refreshNotice)]);
  }

  async function refreshRows() {
    if (!inbox) return;
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch(inbox.dataset.live, { headers });
    if (!answer.ok && answer.status !== 304) throw new Error(`live: ${answer.status}`);
    if (answer.ok) {
      tag = answer.headers.get("etag") ?? "";
      told = await answer.json();
      showRows();
    }
    await Promise.all([...gone].slice(-GONE_LIMIT).map(refreshGone));
  }

  function showRows() {
    for (const [view, count] of Object.entries(told.counts)) {
      const place = one(`[data-count-of="${view}"]`);
      if (place) place.textContent = count;
    }
    document.title = document.title.replace(/^(.*?)( \(.*\))?( · Adjourn)$/, `$1${told.count && ` (${told.count})`}$3`);
    for (const row of told.rows) replaceRow(row.key, row.mark, row.html);
    tellNews();
    const present = new Set(told.rows.map((row) => row.key));
    present.forEach((key) => gone.delete(key));
    for (const row of all(".row").slice(0, told.limit)) if (!present.has(row.dataset.key)) gone.add(row.dataset.key);
  }

  // It has left the view, or only moved on to the next page: it stays where it is, as it is now.
  async function refreshGone(key) {
    const row = one(`#row-${key}`);
    if (!row) return void gone.delete(key);
    const answer = await fetch(`/rows/${encodeURIComponent(row.dataset.id)}?${inbox.dataset.back}`);
    if (answer.ok) replaceRow(key, answer.headers.get("x-mark"), await answer.text());
    else if (answer.status === 404) markLeft(row);
    const now = one(`#row-${key}`);
    now?.classList.toggle("gone", !told.more || now.matches(".ended"));
  }

  function markLeft(row) {
    const chips = one(".row-chips", row);
    if (one("[data-left]", chips)) return;
    const chip = document.createElement("span");
    chip.className = "chip quiet";
    chip.dataset.left = "yes";
    chip.textContent = "Waits no more";
    chips.replaceChildren(chip);
    one("input", row)?.remove();
  }

  function replaceRow(key, mark, html) {
    const old = one(`#row-${key}`);
    if (!old || old.dataset.mark === mark) return;
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const row = one(".row", holder.content);
    const box = one("input", old);
    const newBox = one("input", row);
    const focused = old.contains(document.activeElement);
    if (box?.checked && newBox?.value === box.value) newBox.checked = true;
    else if (box?.checked) say("A selected approval has changed and is no longer selected.");
    one(".row-link", row).setAttribute("aria-selected", one(".row-link", old).getAttribute("aria-selected"));
    row.classList.add("fresh");
    old.replaceWith(row);
    htmx.process(row);
    tellTimes(row);
    if (focused) one(".row-link", row).focus({ preventScroll: true });
    countSelected();
  }

  // New is what stands among the known rows. What comes after them, with more to follow, was there
  // before: it moved up from the next page.
  function tellNews() {
    const { rows, more } = told;
    const known = rows.map((row) => Boolean(one(`#row-${row.key}`)));
    const end = more ? known.lastIndexOf(true) : known.length;
    const count = known.filter((each, at) => !each && at < end).length;
    const bar = one("#news");
    bar.hidden = count === 0;
    bar.textContent = count ? `${count} new` : "";
    if (count && !one("#rows")) location.reload();
  }

  async function refreshApproval() {
    const shown = approval();
    if (!shown) return;
    const { approval: id, version } = shown.dataset;
    const answer = await fetch(`/approvals/${encodeURIComponent(id)}/news?version=${version}`);
    if (!shown.isConnected) return;
    if (answer.status === 403 || answer.status === 404) {
      return tellChanged(shown, "It is gone, or you may not see it any more. What you see below is as it was.", true);
    }
    if (answer.status !== 200) return;
    const news = await answer.json();
    const execution = one("#execution", shown);
    if (execution) execution.innerHTML = news.execution;
    tellChanged(shown, news.changed, news.over);
  }

  function tellChanged(shown, html, over) {
    const bar = one("#changed", shown);
    bar.hidden = !html;
    if (html && bar.dataset.told !== html) {
      bar.dataset.told = html;
      bar.innerHTML = html;
      tellTimes(bar);
    }
    if (over) endHold();
    for (const button of all("form[data-decide] button[value]", shown)) button.disabled = over;
  }

  async function refreshNotice(notice) {
    const back = inbox ? `surface=inbox&${inbox.dataset.back}` : "";
    const answer = await fetch(`/approvals/${encodeURIComponent(notice.dataset.notice)}/notice?${back}`);
    if (!answer.ok) return;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const now = one("[data-notice]", holder.content);
    if (!now) return notice.remove(); // it was taken back
    notice.replaceWith(now);
    htmx.process(now);
    tellTimes(now);
  }

  // The newest stands last; those before it stay while they can still be taken back.
  function tidyNotices() {
    const shown = all("[data-notice]");
    const newest = shown.pop();
    shown.reverse().forEach((notice, at) => {
      const again = notice.dataset.notice === newest.dataset.notice;
      if (again || at > NOTICES - 2 || !notice.dataset.until) notice.remove();
    });
  }

  function reloadApproval() {
    const shown = approval();
    if (inbox && shown) {
      const link = one(`#option-${shown.dataset.key}`);
      if (link) return link.click();
    }
    location.reload();
  }

  // The stream itself. A hidden tab closes it: browsers keep only six connections to a server.

  let source = null;
  let heard = 0;
  let downSince = 0;
  let again = 1000;

  function listen() {
    if (source || document.hidden || !one(".who")) return;
    source = new EventSource("/stream");
    heard = Date.now();
    const hear = () => {
      heard = Date.now();
      downSince = 0;
      again = 1000;
      stale("");
    };
    source.addEventListener("changed", () => {
      hear();
      refreshSoon();
    });
    source.addEventListener("beat", hear);
    source.addEventListener("error", () => {
      downSince ||= Date.now();
      if (source?.readyState !== EventSource.CLOSED) return; // else the browser tries again itself
      hush();
      setTimeout(listen, again);
      again = Math.min(again * 2, 60000);
    });
  }

  function hush() {
    source?.close();
    source = null;
  }

  function stale(text) {
    const strip = one("#offline");
    const offline = navigator.onLine ? text : "You are offline. What you see may be old, and nothing that you press is sent.";
    strip.hidden = !offline;
    if (strip.textContent !== offline) strip.textContent = offline;
  }

  function watchSilence() {
    if (document.hidden || !one(".who")) return;
    const silent = Date.now() - heard > SILENCE_MS;
    const down = downSince && Date.now() - downSince > DOWN_MS;
    if (silent || down) stale("Not live: the server does not answer. What you see may be old.");
    if (silent) {
      hush();
      listen();
    }
  }

  // Who acts. All tabs of a browser act as the same person; a page that was drawn for another says so.

  const persons = new BroadcastChannel("adjourn-person");
  persons.addEventListener("message", ({ data }) => {
    const strip = one("#person-changed");
    strip.hidden = data.id === me || !me;
    if (!strip.hidden) one("span", strip).textContent = `You now act as ${data.name}. This page was opened as ${ownName()}.`;
  });
  const ownName = () => one(".who-name")?.textContent ?? "";

  // Whoever goes on as another person after all takes along what they had typed for this approval.
  function carryDrafts({ carry, of }) {
    const [from, to] = [`draft:${me}:${of}:`, `draft:${carry}:${of}:`];
    for (const key of Object.keys(sessionStorage)) {
      if (key.startsWith(from)) sessionStorage.setItem(to + key.slice(from.length), sessionStorage.getItem(key));
    }
  }

  // Drafts: what is typed survives reloads, answers and other people's changes, in this tab.

  const draftKey = (form) => `draft:${me}:${form.closest("[data-approval]")?.dataset.approval}:${form.dataset.draft}`;
  const draftFields = (form) =>
    [...form.elements].filter((each) => each.name && each.matches('textarea, select, input:not([type="hidden"], [type="checkbox"])'));
  const serverValue = (each) =>
    each.dataset.before ?? each.defaultValue ?? [...each.options].find((option) => option.defaultSelected)?.value ?? "";

  function keepDraft(form) {
    const typed = {};
    for (const each of draftFields(form)) if (each.value !== serverValue(each)) typed[each.name] = each.value;
    if (Object.keys(typed).length) sessionStorage.setItem(draftKey(form), JSON.stringify(typed));
    else sessionStorage.removeItem(draftKey(form));
  }

  function restoreDrafts(from) {
    for (const form of all("form[data-draft]", from)) {
      const typed = JSON.parse(sessionStorage.getItem(draftKey(form)) ?? "{}");
      for (const each of draftFields(form)) if (each.name in typed) each.value = typed[each.name];
      markEdited(form);
    }
  }

  // No form takes it any more; the answer shows what was written.
  function dropLostDrafts(place) {
    const shown = one("[data-approval]", place);
    if (!shown || !one("[data-trouble]", place) || one("[data-decide]", shown)) return;
    sessionStorage.removeItem(`draft:${me}:${shown.dataset.approval}:decide`);
  }

  function dropDrafts(form) {
    if (form.dataset.draft) sessionStorage.removeItem(draftKey(form));
  }

  function markEdited(form) {
    if (!("decide" in form.dataset)) return;
    let edited = 0;
    for (const each of draftFields(form)) {
      if (!("before" in each.dataset)) continue;
      const differs = each.value !== each.dataset.before;
      each.closest("tr")?.classList.toggle("edited", differs);
      edited += differs;
    }
    const button = one('button[value="approve"]', form);
    const word = button && one("[data-word]", button);
    if (word) word.textContent = edited ? button.dataset.edited : button.dataset.plain;
  }

  // A panel that has just come: the second click of a double click was meant for the one before it,
  // and so was a key that is still down.

  let fresh = 0;

  function lookFirst() {
    clearTimeout(fresh);
    one("#panel").classList.add("just-come");
    fresh = setTimeout(() => {
      fresh = 0;
      one("#panel").classList.remove("just-come");
    }, LOOK_MS);
  }

  function meant(event) {
    if (event.target.closest("#panel button[value]")) return !fresh && event.detail < 2;
    return !event.target.closest("#notices button[value]") || event.detail < 2;
  }

  const tooEarly = (target) => fresh && (target === document.body || target.closest("#panel, .row, .crumbs"));

  document.addEventListener(
    "click",
    (event) => {
      if (meant(event)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );

  // Held approval.

  let holding = null;

  function beginHold(button, from) {
    if (holding) return;
    const form = button.form;
    const comment = form.elements.comment;
    if (!comment.value.trim()) {
      comment.focus();
      say("First say why you approve: at this risk a comment is required.");
      return;
    }
    button.classList.add("holding");
    holding = { button, from, timer: setTimeout(() => finishHold(form, button), HOLD_MS) };
  }

  function finishHold(form, button) {
    endHold();
    form.elements.confirm.checked = true;
    form.requestSubmit(button);
  }

  // One hold is good for one try: the box that it ticked is cleared once the form has been read.
  document.addEventListener("htmx:config:request", (event) => {
    const box = event.detail.ctx.request.form?.elements.confirm;
    if (box?.closest(".unscripted")) box.checked = false;
  });

  function endHold() {
    if (!holding) return;
    clearTimeout(holding.timer);
    holding.button.classList.remove("holding");
    holding = null;
  }

  function abandonHold(from) {
    if (holding?.from !== from) return;
    endHold();
    say("Keep holding to approve.");
  }

  // A screen reader presses without holding: it gets the box that pages without scripts have.
  function confirmInstead(button) {
    one(".confirm", button.form).classList.remove("unscripted");
    button.form.elements.confirm.focus();
    say("Confirm first, then press Approve.");
  }

  // Keys.

  function press(key) {
    const target = one(`#panel [data-press="${key}"]`);
    if (!target) return say("That cannot be done here.");
    if (target.tagName !== "SUMMARY") return target.click();
    target.parentElement.open = true;
    one("textarea, input:not([type=hidden]), .choices button", target.parentElement)?.focus();
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    x: () => one("input", currentLink()?.closest(".row") ?? document.createElement("i"))?.click(),
    a: () => {
      const button = one('#panel button[value="approve"]:enabled');
      if (!button) return say("You cannot approve this.");
      if (document.activeElement === button && !button.matches(".hold")) return button.click();
      button.focus();
      say(button.matches(".hold") ? "Hold Enter to approve." : "Enter approves.");
    },
    e: () => {
      const field = one("#panel [data-before]");
      field ? (field.focus(), field.select?.()) : say("Nothing here can be edited.");
    },
    r: () => {
      const button = one('#panel button[value="reject"]:enabled');
      if (!button) return say("You cannot reject this.");
      const area = button.form.elements.comment;
      area.value.trim() ? button.focus() : area.focus();
      say("Say why, then press Reject.");
    },
    c: () => press("c"),
    i: () => press("i"),
    m: () => press("m"),
    z: () => press("z"),
    u: () => {
      const undo = all('[data-notice] button[value="undo"]').at(-1) ?? one("#panel .undo button");
      undo ? undo.form.requestSubmit(undo) : say("Nothing to take back."); // also at once: it is a key of its own
    },
    "/": () => {
      const search = one(".search input[type=search]");
      search ? search.focus() : goBack();
    },
    "?": () => one("#help").showModal(),
  };

  function typing(target) {
    return target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
  }

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (key === "Escape") return escape(target);
    if (key === "Enter" && !typing(target) && (event.repeat || tooEarly(target))) return event.preventDefault();
    const hold = target.closest?.("button.hold");
    if (hold && (key === "Enter" || key === " ")) {
      event.preventDefault();
      if (!event.repeat) beginHold(hold, "key");
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(target) || one("dialog[open]")) return;
    const row = target.closest?.(".row-link");
    if (row && (key === "ArrowDown" || key === "ArrowUp")) {
      event.preventDefault();
      return move(key === "ArrowDown" ? 1 : -1);
    }
    if (key === "Enter" && inbox && approval() && (target === document.body || row?.getAttribute("aria-selected") === "true")) {
      event.preventDefault();
      location.assign(approval().dataset.page);
      return;
    }
    if (!Object.hasOwn(KEYS, key) || (event.repeat && key !== "j" && key !== "k")) return;
    event.preventDefault();
    KEYS[key]();
  });

  const openMenus = () => all(narrow.matches ? "details.menu[open], [data-filters][open]" : "details.menu[open]");

  // What is closed gives the focus back to what opened it.
  function escape(target) {
    const menu = openMenus().find((each) => each.contains(target));
    const typed = typing(target);
    if (typed) target.blur();
    for (const each of openMenus()) each.open = false;
    if (menu) one("summary", menu).focus();
    else if (typed) currentLink()?.focus({ preventScroll: true });
  }

  document.addEventListener("keyup", () => abandonHold("key"));

  // Pointer and forms.

  document.addEventListener("pointerdown", (event) => {
    const hold = event.target.closest("button.hold");
    if (!hold || event.button !== 0 || fresh) return;
    // A finger belongs to what it touched first: it would never be seen to leave.
    if (hold.hasPointerCapture(event.pointerId)) hold.releasePointerCapture(event.pointerId);
    beginHold(hold, "pointer");
  });
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, () => abandonHold("pointer"));
  }
  document.addEventListener("pointerout", (event) => {
    const { target, relatedTarget } = event;
    if (holding?.button.contains(target) && !holding.button.contains(relatedTarget)) abandonHold("pointer");
  });
  window.addEventListener("blur", endHold);
  document.addEventListener("contextmenu", (event) => {
    if (event.target.closest("button.hold")) event.preventDefault(); // a long touch asks for one
  });

  document.addEventListener("click", (event) => {
    const { target } = event;
    for (const menu of openMenus()) if (!menu.contains(target)) menu.open = false;
    if (target.closest(".back-to-list") && inbox && stacked.matches) {
      event.preventDefault();
      if (stepped) return history.back();
      history.replaceState(history.state, "", target.closest("a").href);
      closePanel();
    }
    const hold = target.closest("button.hold");
    if (hold && !hold.form.elements.confirm.checked) {
      event.preventDefault();
      if (event.detail === 0 && !holding) confirmInstead(hold);
    }
    if (target.closest("[data-help]") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      one("#help").showModal();
    }
    if (target.closest("[data-reload]")) reloadApproval();
    if (target.closest("[data-again]")) location.reload();
    const carrying = target.closest("[data-carry]");
    if (carrying) carryDrafts(carrying.dataset);
    if (target.closest("#news")) location.reload();
    if (target.closest("[data-unselect]")) {
      all(".row input:checked").forEach((box) => (box.checked = false));
      countSelected();
    }
  });

  document.addEventListener("change", (event) => {
    const { target } = event;
    if (target.closest(".row")) return countSelected();
    if (target.matches("[data-submit]") || target.closest("[data-autosubmit]")) target.form.requestSubmit();
  });

  // An address says only what narrows the list.
  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (form.matches(".who form.people")) form.elements.back.value = location.pathname + location.search;
    if (form.method !== "get") return;
    event.preventDefault();
    const words = new URLSearchParams([...new FormData(form, submitter)].filter(([, word]) => word));
    const address = `${form.getAttribute("action")}?${words}`;
    if (address.length < ADDRESS_LIMIT) return location.assign(address);
    form.method = "post";
    form.requestSubmit(submitter);
  });

  document.addEventListener("input", (event) => {
    const { target } = event;
    if (target.form?.dataset.draft) {
      keepDraft(target.form);
      markEdited(target.form);
    }
  });

  // Answers that htmx swaps in.

  document.addEventListener("htmx:after:request", (event) => {
    const { request, response } = event.detail.ctx;
    if (request.method === "POST" && response.status < 400 && request.form) dropDrafts(request.form);
  });

  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method === "POST") {
      for (const row of nextRows()) ctx.request.body.append("next", row.dataset.id);
    } else if (ctx.sourceElement.matches(".row-link") && stacked.matches) {
      listAt = scrollY;
      stepped = true;
      [ctx.push, ctx.replace] = [ctx.replace, null];
    }
  });

  // Back to the list, which is still here.
  const closed = () => inbox && !new URLSearchParams(location.search).has("open");
  window.addEventListener("popstate", () => closed() && closePanel());
  document.addEventListener("htmx:before:history:restore", (event) => closed() && event.preventDefault());

  document.addEventListener("htmx:before:swap", (event) => {
    if (event.detail.ctx.target?.id === "panel") lookFirst();
  });

  document.addEventListener("htmx:after:swap", (event) => {
    const { ctx } = event.detail;
    const place = ctx.target?.isConnected ? ctx.target : document;
    tellTimes(place);
    tellTimes(one("#notices"));
    tidyNotices();
    if (place.id === "panel") {
      restoreDrafts(place);
      markOpen();
      place.scrollTop = 0;
      if (stacked.matches) scrollTo(0, document.body.matches(".has-open") ? 0 : listAt);
      if (ctx.request?.method === "POST") afterAction(place, ctx.request);
    } else {
      ownRows();
      restoreDrafts(place);
      if (document.activeElement === document.body) one(".tabs [aria-current]", place)?.focus();
    }
  });

  function afterAction(place, { submitter }) {
    if (submitter?.value === "undo") one(`[data-notice="${CSS.escape(approval()?.dataset.approval ?? "")}"]`)?.remove();
    const trouble = troubled(place);
    const on = one('.row-link[aria-selected="true"]') ?? (one("[data-decide]", place) ? null : one(".crumbs .next"));
    (trouble ?? on ?? place).focus({ preventScroll: Boolean(trouble) });
    dropLostDrafts(place);
    refreshSoon();
  }

  // What is wrong: the field itself, else what is said of it.
  const troubled = (place) => one('[aria-invalid="true"]', place) ?? one("[data-trouble]", place);

  document.addEventListener("htmx:error", () => {
    stale("It could not be sent: the server does not answer. Nothing changed that you were not told; try again.");
  });

  // Begin.

  const filters = one("[data-filters]");
  if (filters) filters.open = !narrow.matches;

  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
  window.addEventListener("pagehide", hush);
  window.addEventListener("pageshow", listen);
  window.addEventListener("online", () => stale(""));
  window.addEventListener("offline", () => stale(""));
  setInterval(tellTimes, 20000);
  setInterval(countDown, 1000);
  setInterval(watchSilence, 5000);
  tellTimes();
  restoreDrafts(document);
  countSelected();
  troubled(document)?.focus();
  if (me) persons.postMessage({ id: me, name: ownName() });
  listen();
})();
