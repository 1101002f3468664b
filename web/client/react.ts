/** A React hook that holds the connection as long as its component is mounted. */
// @ts-types="preact/hooks"
import { useCallback, useEffect, useRef, useState } from "react";
import type { Client } from "./client.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import { DsignClientError } from "./errors.ts";

/** Result of {@linkcode useDsign}. */
export interface Dsign {
  /** null until it is connected, and after a failure. Calls reject while `state` is `lost`. */
  dsign: Client | null;
  /** `lost`: the connection broke and is being opened again. */
  state: "connecting" | "connected" | "lost" | "failed";
  /** With `failed`: why. */
  error: DsignClientError | null;
  /** Tries anew after a failure; for a button. */
  retry: () => void;
}

type State = Omit<Dsign, "retry">;

const CONNECTING: State = { dsign: null, state: "connecting", error: null };

/**
 * Connects when the component is mounted, and closes the connection when it goes. In StrictMode, which mounts twice, the
 * first attempt is given up before the person sees a window of it.
 *
 * @param options of `connect`; later changes count at the next attempt
 */
export function useDsign(options: ConnectOptions = {}): Dsign {
  const [attempt, setAttempt] = useState(0);
  const [state, setState] = useState(CONNECTING);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  useEffect(() => {
    const ending = new AbortController();
    const { signal } = ending;
    let open: Client | undefined;
    setState(CONNECTING);
    connect({ ...latest.current, signal }).then((dsign) => {
      if (signal.aborted) return dsign.close();
      open = dsign;
      const show = (state: "connected" | "lost") => setState({ dsign, state, error: null });
      dsign.addEventListener("disconnect", () => signal.aborted || show("lost"));
      dsign.addEventListener("reconnect", () => show("connected"));
      show("connected");
    }, (error) => {
      if (signal.aborted) return;
      if (error instanceof DsignClientError) {
        return setState({ dsign: null, state: "failed", error });
      }
      setState(() => {
        throw error; // a mistake in the page: for its error boundary
      });
    });
    return () => {
      ending.abort();
      open?.close();
    };
  }, [attempt]);
  const retry = useCallback(() => setAttempt((count) => count + 1), []);
  return { ...state, retry };
}
