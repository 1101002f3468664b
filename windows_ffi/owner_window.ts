import { encodeText, SW_SHOWNOACTIVATE, WS_EX_TOPMOST_APPWINDOW, WS_POPUP } from "./layout.ts";
import type { RawWindows } from "./raw.ts";

/**
 * Lends the provider's dialog a window to stand before: one without an area, above the others and in the taskbar.
 * Without an owner it would open behind the browser, as this process is never in front.
 *
 * @param work gets the window's handle; 0 where there is no desktop
 */
export function withOwnerWindow<T>(raw: RawWindows, work: (window: bigint) => T): T {
  const { user32 } = raw;
  const window = user32.CreateWindowExW(
    WS_EX_TOPMOST_APPWINDOW,
    encodeText("STATIC"),
    encodeText("D-Sign"),
    WS_POPUP,
    ...[0, 0, 0, 0] as const,
    ...[0n, 0n, 0n, 0n] as const,
  );
  if (window === 0n) return work(0n);
  try {
    user32.ShowWindow(window, SW_SHOWNOACTIVATE);
    return work(window);
  } finally {
    user32.DestroyWindow(window);
  }
}
