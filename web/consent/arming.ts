/**
 * When an answer counts. A person answers what they have seen: nothing is answered before all of it has been visible,
 * nor in a window that has just come up, moved or been scrolled by somebody else.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";

/** Less than this (CSS pixels), and the person may see the button alone. A zoomed page of 1280 × 1024 still has it. */
const ROOM = { width: 280, height: 240 };

/** A click meant for what was under the pointer before this window came up, or came to the front, must not count. */
const DELAY = 600;

/** Milliseconds between two looks at what is visible. */
const LOOK_EVERY = 100;

/** After so long (milliseconds) without a key or the pointer, it is not the person who scrolls. */
const OWN_SCROLL = 1000;

/**
 * Elements that must have been visible: warnings, and those marked as part of the question. `beginning`: the first rows
 * are enough; `later`: what there is to see has not come yet.
 */
const MUST_SEE = "[data-see], .warning";

/** Distance from the pane's edge kept when scrolling an element into view (CSS pixels). */
const MARGIN = 16;

/** Distance of the points that are looked at, and how much of a long document counts as seen (CSS pixels). */
const GRID = 16;
const BEGINNING = 160;

export interface Arming {
  armed: boolean;
  /** The window is large enough. */
  roomy: boolean;
  /** A web page opened this window: it takes no answer. */
  opened: boolean;
  /** Something has not been visible yet. */
  unseen: boolean;
  /** Brings it into view. */
  showUnseen(): void;
}

/**
 * @param form holds all of the question
 * @param ready whether everything is there that will be shown
 */
export function useArming(form: RefObject<HTMLElement | null>, ready: boolean): Arming {
  const isRoomy = () => innerWidth >= ROOM.width && innerHeight >= ROOM.height;
  const [opened] = useState(() => globalThis.opener !== null);
  const [roomy, setRoomy] = useState(isRoomy);
  const [unseen, setUnseen] = useState(false);
  const [armed, setArmed] = useState(false);
  const missing = useRef<HTMLElement | null>(null);
  const seen = useRef(new WeakMap<Element, Seen>());
  const isReady = useRef(ready);
  isReady.current = ready;

  useEffect(() => {
    let quietSince = Date.now();
    let lastInput = 0;
    const look = () => {
      setRoomy(isRoomy());
      const attentive = document.hasFocus() && !document.hidden;
      missing.current = attentive ? firstUnseen(form.current, seen.current) : missing.current;
      setUnseen(missing.current !== null);
      const good = attentive && !opened && isReady.current && isRoomy() && missing.current === null;
      if (!good) quietSince = Date.now();
      setArmed(good && Date.now() - quietSince >= DELAY);
    };
    const disarm = () => {
      quietSince = Date.now();
      setArmed(false);
    };
    /** Forgets what was seen, because elements may have moved. */
    const forget = () => {
      seen.current = new WeakMap();
      disarm();
    };
    const scrolled = () => {
      const now = Date.now();
      if (now - lastInput < OWN_SCROLL) lastInput = now;
      else disarm();
    };
    const input = () => lastInput = Date.now();
    const listeners: [EventTarget, string[], () => void][] = [
      [globalThis, ["focus", "blur"], disarm],
      [globalThis, ["resize", "hashchange", "popstate"], forget],
      [document, ["visibilitychange"], disarm],
      [document, ["scroll"], scrolled],
      [document, ["wheel", "touchmove", "pointerdown", "pointermove", "keydown"], input],
    ];
    for (const [target, events, listener] of listeners) {
      for (const event of events) {
        // Scrolling does not bubble, and neither do the focus events of fields, which are not meant here.
        target.addEventListener(event, listener, { passive: true, capture: target === document });
      }
    }
    look();
    const timer = setInterval(look, LOOK_EVERY);
    return () => {
      clearInterval(timer);
      for (const [target, events, listener] of listeners) {
        for (const event of events) {
          target.removeEventListener(event, listener, { capture: target === document });
        }
      }
    };
  }, []);

  return {
    armed,
    roomy,
    opened,
    unseen,
    showUnseen() {
      const element = missing.current;
      if (!element) return;
      element.scrollIntoView({ block: "start" });
      scrollerOf(element).scrollBy(0, firstHidden(element, seen.current) - MARGIN);
      // A screen reader goes on reading there.
      element.tabIndex = element.tabIndex < 0 ? -1 : element.tabIndex;
      element.focus({ preventScroll: true });
    },
  };
}

/** The pane that scrolls an element up and down. */
function scrollerOf(element: Element): Element {
  for (let each = element.parentElement; each; each = each.parentElement) {
    const isScroller = /auto|scroll/.test(getComputedStyle(each).overflowY);
    if (isScroller && each.scrollHeight > each.clientHeight) return each;
  }
  return document.documentElement;
}

/** Pixels from an element's top to the first of its rows that has not been visible. */
function firstHidden(element: HTMLElement, seen: WeakMap<Element, Seen>): number {
  const { rows, count } = seen.get(element)!;
  let row = 0;
  while (rows.has(row)) row++;
  return row * (element.getBoundingClientRect().height / count);
}

/** The rows of points of an element that have been visible, at its present size. */
interface Seen {
  size: string;
  count: number;
  rows: Set<number>;
}

function firstUnseen(form: HTMLElement | null, seen: WeakMap<Element, Seen>): HTMLElement | null {
  let first: HTMLElement | null = null;
  for (const element of form?.querySelectorAll<HTMLElement>(MUST_SEE) ?? []) {
    if (!look(element, seen)) first ??= element;
  }
  return first;
}

/** Whether every row of an element has been visible, neither covered nor clipped. */
function look(element: HTMLElement, seen: WeakMap<Element, Seen>): boolean {
  const { left, top, width, height } = element.getBoundingClientRect();
  // Of what is folded together, its summary is seen.
  if (width === 0 || height === 0 || !element.checkVisibility()) return true;
  const size = `${Math.round(width)} ${Math.round(height)}`;
  let before = seen.get(element);
  if (before?.size !== size) {
    const count = Math.max(1, Math.floor(height / GRID));
    seen.set(element, before = { size, count, rows: new Set() });
  }
  const { count } = before;
  for (let row = 0; row < count; row++) {
    if (before.rows.has(row)) continue;
    const y = top + (row + 0.5) * (height / count);
    if (y < 0 || y >= innerHeight) continue;
    const isClear = [0.1, 0.5, 0.9].every((part) => {
      const hit = document.elementFromPoint(left + part * width, y);
      return hit !== null && element.contains(hit);
    });
    if (isClear) before.rows.add(row);
  }
  const { see } = element.dataset;
  if (see === "later") return false;
  const wanted = see === "beginning" ? Math.min(count, Math.floor(BEGINNING / GRID)) : count;
  return before.rows.size >= wanted;
}
