/** Tells people to scroll when a frame has more content: not every system draws a scroll bar. */
import type { RefObject, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Speech } from "../../words/agent.ts";

/** A notice for as long as the frame's end has not been seen. `look` is for its scrolling, and for new content. */
export function useScrollNotice<E extends HTMLElement>(
  { say }: Speech,
): { frame: RefObject<E | null>; notice: VNode | null; look: () => void } {
  const frame = useRef<E>(null);
  const [more, setMore] = useState(false);
  const look = () => {
    if (!frame.current) return;
    const { scrollTop, clientHeight, scrollHeight } = frame.current;
    setMore(scrollTop + clientHeight < scrollHeight - 4);
  };
  useEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(frame.current!);
    return () => observer.disconnect();
  }, []);
  return { frame, look, notice: more ? <p class="notice">{say("scroll_more")}</p> : null };
}
