/**
 * The layout of every question: at the left what it is about, in a pane that scrolls by itself; at the right a panel that
 * stays, with who asks, the PIN, the buttons and the time left. In a narrow window the panel is a bar at the bottom.
 * The page as a whole does not scroll. The consent window and the PIN/OTP page share it.
 */
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Speech } from "../words/agent.ts";

export function Screen(
  {
    title,
    about,
    pane,
    notice,
    facts,
    answer,
    actions,
    danger = false,
    form,
    submit,
    decline,
    speech,
  }: {
    title: string;
    /** Name of the pane for screen readers. */
    about: string;
    pane: ComponentChildren;
    /** Stands below the pane, and the buttons stay where they are when it goes. */
    notice?: ComponentChildren;
    /** Who asks, what for, the kind of signature and the certificate; these scroll where they have to. */
    facts: ComponentChildren;
    /** What the person types, and what has to be said about it. */
    answer?: ComponentChildren;
    /** The time left and the buttons: always in sight. */
    actions: ComponentChildren;
    /** A question that most people should decline. */
    danger?: boolean;
    form?: RefObject<HTMLFormElement | null>;
    submit: () => void;
    /** What the Escape key does. */
    decline: () => void;
    speech: Speech;
  },
) {
  const heading = useFocus<HTMLHeadingElement>();
  const onEscape = useRef(decline);
  onEscape.current = decline;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      // It also ends an input method's composition, and empties a field for searching.
      const isForField = event.isComposing ||
        event.target instanceof HTMLInputElement && event.target.type === "search";
      if (event.key === "Escape" && !event.defaultPrevented && !isForField) onEscape.current();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
  return (
    <form
      ref={form}
      class={danger ? "screen danger" : "screen"}
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <h1 ref={heading} tabIndex={-1} data-see="" aria-describedby="asker">{title}</h1>
      <Pane about={about} notice={notice} speech={speech}>{pane}</Pane>
      <div class="panel">
        <div class="panel-facts">{facts}</div>
        {answer && <div class="panel-answer">{answer}</div>}
        <div class="actions">{actions}</div>
      </div>
    </form>
  );
}

/** Scrolls by itself, and says so while its end has not been seen: not every system draws a scroll bar. */
function Pane(
  { about, notice, children, speech }: {
    about: string;
    notice: ComponentChildren;
    children: ComponentChildren;
    speech: Speech;
  },
) {
  const frame = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const [more, setMore] = useState(false);
  const look = () => {
    if (!frame.current) return;
    const { scrollTop, clientHeight, scrollHeight } = frame.current;
    setMore(scrollTop + clientHeight < scrollHeight - 4);
  };
  useEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(frame.current!);
    observer.observe(content.current!);
    return () => observer.disconnect();
  }, []);
  return (
    <div class="pane-frame">
      <div class="pane" ref={frame} onScroll={look} tabIndex={0} role="region" aria-label={about}>
        <div ref={content}>{children}</div>
      </div>
      {notice || more && <p class="pane-more">↓ {speech.say("scroll_more")}</p>}
    </div>
  );
}

/** Puts the focus on the main words when they appear, so that a screen reader starts there. */
export function useFocus<E extends HTMLElement>() {
  const element = useRef<E>(null);
  useEffect(() => element.current?.focus(), []);
  return element;
}
