/**
 * The rules of an authorization as a pure state machine: no clock, no I/O, no randomness. Everything that may be signed
 * with a PIN and an OTP is decided here and nowhere else; the store runs {@linkcode step} on locked rows and writes its
 * result, or nothing.
 *
 * ```
 *          send            attempt, settle              use               signed
 *   open ────────▶ open ───────────────────▶ authorized ─────▶ signing ─────────▶ done
 *     └── end, too many tries, time, another hash list, another count, a clock set back ──▶ ended
 * ```
 *
 * A try is paid for before it is looked at ({@linkcode Event} `attempt`), so that however many requests run at the same time
 * on however many instances, no more than {@linkcode RULES} allows are ever looked at, and a crash in between costs the try.
 */

/** Times in milliseconds. */
export const RULES = {
  /** From the request to the last signature. */
  lifetime: 10 * 60_000,
  /** Documents of one authorization. */
  signatures: 10,
  /** Answers (PIN and OTP together) of one authorization. */
  tries: 3,
  /** Wrong answers in a row after which the next one has to wait. */
  freeTries: 5,
  /** The first wait. Each further wrong answer doubles it, up to the longest. */
  backOff: 60_000,
  longestBackOff: 60 * 60_000,
  /** Wrong answers in a row that lock; NIST SP 800-63B §5.2.2 allows no more than 100. */
  lockAfter: 50,
  /** Between two OTPs of one authorization. */
  resendAfter: 30_000,
  /** OTPs of one authorization. */
  sends: 3,
  /** OTPs of one person within {@linkcode RULES.window}. */
  generations: 10,
  window: 60 * 60_000,
  /** How far the clocks of two instances may differ. */
  skew: 5_000,
} as const;

export type Phase = "open" | "authorized" | "signing" | "done" | "ended";

/** Why an authorization ended without being used up. */
export type End =
  | "rejected"
  | "tries"
  | "expired"
  | "clock"
  | "superseded"
  | "revoked"
  | "locked"
  | "deviation"
  | "failed";

/** The authorized digests in their order, and their description for the person. */
export interface Binding {
  /** Base64, in the order of signing. */
  readonly hashes: readonly string[];
  /** Object identifier. */
  readonly hashAlgorithm: string;
  /** At least as many as `hashes`; more only in explicit mode, where later ones are bound by `extend`. */
  readonly signatures: number;
}

/** One authorization. Everything in it that could be used is a hash. */
export interface Transaction {
  readonly id: string;
  readonly client: string;
  readonly credential: string;
  /** `pin`: the person changes the PIN; nothing can be signed with it. */
  readonly mode: "explicit" | "oauth2code" | "pin";
  readonly phase: Phase;
  readonly end?: End;
  /** Absent until the first answer where an OTP was asked for without it (CSC 1.0.4 `sendOTP`). */
  readonly binding?: Binding;
  readonly createdAt: number;
  /** The latest time that any instance has seen. */
  readonly seenAt: number;
  readonly sends: number;
  readonly sentAt?: number;
  /** Keyed hash of the OTP that was sent last. */
  readonly otp?: string;
  /** Answers paid for. */
  readonly attempts: number;
  /** Answers looked at. */
  readonly settled: number;
  /** Of the bound hashes those whose documents our page shows: no bare signature is made over them. */
  readonly shown?: readonly string[];
  /** SHA-256 of the SAD, once authorized, until it is used. */
  readonly sad?: string;
  /** Hashes that the current SAD authorizes: part of the binding, or those bound by `extend`. */
  readonly pending?: readonly string[];
  /** The SAD used last, from which `extend` may continue. */
  readonly used?: string;
  /** Signatures that may still be made, those of the present SAD included. */
  readonly remaining: number;
}

/** Answers of one kind, over all authorizations of a person. Those since the last right one are wrong, or unfinished. */
export interface Tries {
  /** All that were paid for. */
  readonly paid: number;
  /** The number of the latest right one, counted as `paid`. */
  readonly right: number;
  /** Until then no further one is looked at. */
  readonly until: number;
}

/** Counters over all authorizations of a person. */
export interface Guard {
  /** Answers to authorizations, of either factor. */
  readonly answers: Tries;
  /** PINs of those who know no more than a name: they must not use up the person's own tries. */
  readonly signIns: Tries;
  /** Times of OTPs within the window. */
  readonly generations: readonly number[];
  /** The last time step of an authenticator (RFC 6238) that was accepted. */
  readonly totpStep: number;
}

export interface State {
  readonly transaction: Transaction;
  readonly guard: Guard;
}

export type Event =
  /** An OTP is sent; `otp` is its keyed hash. An authenticator's is not sent, but counted all the same. */
  | { readonly type: "send"; readonly otp?: string }
  /** An answer came: it is paid for. `binding` must be what was asked for. */
  | { readonly type: "attempt"; readonly binding?: Binding }
  /** The answer was looked at. `number`: what its `attempt` left in `answers.paid`. */
  | {
    readonly type: "settle";
    readonly pin: boolean;
    readonly otp: boolean;
    readonly number: number;
    readonly totpStep?: number;
    readonly sad: string;
  }
  /** A SAD is presented for signing. `bare`: digests are signed as they are, whatever they stand for. */
  | { readonly type: "use"; readonly bare: boolean } & Presented
  /** A new SAD is asked for; `hashes`: for the next documents. */
  | { readonly type: "extend"; readonly next: string; readonly more?: readonly string[] }
    & Presented
  | { readonly type: "signed" | "failed" }
  /** Somebody who may do so ends it, whatever it has come to. */
  | { readonly type: "end"; readonly why: "rejected" | "superseded" | "revoked" | "locked" };

/** Content of a request with a SAD. */
export interface Presented {
  /** SHA-256 of it. */
  readonly sad: string;
  readonly client: string;
  readonly credential: string;
  readonly hashes?: readonly string[];
  readonly hashAlgorithm?: string;
}

export type Refusal =
  | "ended"
  | "expired"
  | "too_soon"
  | "too_many"
  | "wait"
  | "locked"
  | "wrong"
  | "not_authorized"
  | "deviation";

export type Outcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly refusal: Refusal };

const ok: Outcome = { ok: true };
const refuse = (refusal: Refusal): Outcome => ({ ok: false, refusal });

export interface Step extends State {
  readonly outcome: Outcome;
}

const NONE: Tries = { paid: 0, right: 0, until: 0 };

/** A guard in which nothing was counted yet. */
export const FRESH: Guard = { answers: NONE, signIns: NONE, generations: [], totpStep: 0 };

/** How many answers in a row were wrong. */
export const wrongInARow = ({ paid, right }: Tries): number => paid - right;

/** Whether the person has given enough wrong answers in a row to be locked. */
export const isLocked = ({ answers }: Guard): boolean => wrongInARow(answers) >= RULES.lockAfter;

/** Pays for one answer, or says why it is not to be looked at. */
export function pay(tries: Tries, at: number): Tries | "wait" | "locked" {
  const wrong = wrongInARow(tries);
  if (wrong >= RULES.lockAfter) return "locked";
  if (wrong >= RULES.freeTries && at < tries.until) return "wait";
  const over = wrong + 1 - RULES.freeTries;
  const wait = over < 0 ? 0 : Math.min(RULES.backOff * 2 ** over, RULES.longestBackOff);
  return { ...tries, paid: tries.paid + 1, until: at + wait };
}

/** A right answer forgives those before it; those paid for since may turn out wrong. */
export function forgive(tries: Tries, number: number): Tries {
  return { ...tries, right: Math.max(tries.right, number) };
}

/** A guard with all wrong answers forgiven. */
export function forgiveAll(guard: Guard): Guard {
  const all = (tries: Tries) => forgive(tries, tries.paid);
  return { ...guard, answers: all(guard.answers), signIns: all(guard.signIns) };
}

/**
 * A new authorization.
 *
 * @throws {RangeError} where the binding breaks a rule; callers have checked it before
 */
export function open(
  request: Pick<Transaction, "id" | "client" | "credential" | "mode" | "binding" | "shown">,
  now: number,
): Transaction {
  if (request.binding) checkBinding(request.binding, request.mode);
  return {
    ...request,
    phase: "open",
    createdAt: now,
    seenAt: now,
    sends: 0,
    attempts: 0,
    settled: 0,
    remaining: 0,
  };
}

function checkBinding({ hashes, signatures }: Binding, mode: Transaction["mode"]): void {
  const most = mode === "explicit" ? RULES.signatures : hashes.length;
  if (hashes.length < 1 || signatures < hashes.length || signatures > most) {
    throw new RangeError("a binding of a wrong count");
  }
  if (hashes.length > RULES.signatures) throw new RangeError("too many documents");
}

/** One event. The result is written as a whole, whatever the outcome. */
export function step(state: State, event: Event, now: number): Step {
  const { transaction, guard } = state;
  const { phase } = transaction;
  if (event.type === "settle" && phase !== "open") {
    // another answer came first; that this one was right all the same is not to be held against the person
    return { transaction, guard: forgiven(guard, event), outcome: refuse("ended") };
  }
  if (phase === "done" || phase === "ended") {
    // after the last use, `extend` may be asked for what is not there: the answer is the same
    return { ...state, outcome: refuse("ended") };
  }
  if (event.type === "signed" || event.type === "failed") return finish(state, event.type);
  if (event.type === "end") return end(state, event.why, ok);
  // What is being signed has its own end, whatever another instance's clock says.
  if (phase === "signing") return { ...state, outcome: refuse("not_authorized") };
  if (now < transaction.seenAt - RULES.skew) return end(state, "clock", refuse("ended"));
  const at = Math.max(now, transaction.seenAt);
  const seen: State = { transaction: { ...transaction, seenAt: at }, guard };
  if (at >= transaction.createdAt + RULES.lifetime) return end(seen, "expired", refuse("expired"));
  switch (event.type) {
    case "send":
      return send(seen, event.otp, at);
    case "attempt":
      return attempt(seen, event.binding);
    case "settle":
      return settle(seen, event);
    case "use":
      return use(seen, event);
    case "extend":
      return extend(seen, event);
  }
}

function end(state: State, why: End, outcome: Outcome): Step {
  const { otp: _, sad: _sad, pending: _pending, used: _used, ...rest } = state.transaction;
  return { ...state, transaction: { ...rest, phase: "ended", end: why, remaining: 0 }, outcome };
}

function send({ transaction, guard }: State, otp: string | undefined, at: number): Step {
  const generations = guard.generations.filter((time) => time > at - RULES.window && time <= at);
  const state = { transaction, guard: { ...guard, generations } };
  if (transaction.phase !== "open") return { ...state, outcome: refuse("ended") };
  if (transaction.sentAt !== undefined && at < transaction.sentAt + RULES.resendAfter) {
    return { ...state, outcome: refuse("too_soon") };
  }
  if (transaction.sends >= RULES.sends || generations.length >= RULES.generations) {
    return { ...state, outcome: refuse("too_many") };
  }
  return {
    transaction: { ...transaction, otp, sends: transaction.sends + 1, sentAt: at },
    guard: { ...guard, generations: [...generations, at] },
    outcome: ok,
  };
}

function attempt(state: State, binding: Binding | undefined): Step {
  const { transaction, guard } = state;
  if (transaction.phase !== "open") return { ...state, outcome: refuse("ended") };
  if (binding && transaction.binding && !same(binding, transaction.binding)) {
    return end(state, "deviation", refuse("deviation"));
  }
  if (binding) checkBinding(binding, transaction.mode);
  // Without it an authenticator could be guessed at without being counted.
  if (transaction.sends === 0) return { ...state, outcome: refuse("wrong") };
  if (isLocked(guard)) return end(state, "locked", refuse("locked"));
  if (transaction.attempts >= RULES.tries) return { ...state, outcome: refuse("ended") };
  const answers = pay(guard.answers, transaction.seenAt);
  if (typeof answers === "string") return { ...state, outcome: refuse(answers) };
  return {
    transaction: {
      ...transaction,
      attempts: transaction.attempts + 1,
      binding: transaction.binding ?? binding,
    },
    guard: { ...guard, answers },
    outcome: ok,
  };
}

function forgiven(guard: Guard, { pin, otp, number }: Event & { type: "settle" }): Guard {
  if (!pin || !otp) return guard;
  return {
    ...guard,
    answers: forgive(guard.answers, number),
    signIns: forgive(guard.signIns, guard.signIns.paid),
  };
}

function settle(state: State, event: Event & { type: "settle" }): Step {
  const guard = forgiven(state.guard, event);
  const { otp, ...rest } = { ...state.transaction, settled: state.transaction.settled + 1 };
  const { mode, binding, settled } = rest;
  const replayed = event.totpStep !== undefined && event.totpStep <= guard.totpStep;
  if (!event.pin || !event.otp || replayed || (mode !== "pin" && !binding)) {
    const wrong = { transaction: { ...rest, otp }, guard };
    return settled >= RULES.tries
      ? end(wrong, "tries", refuse("wrong"))
      : { ...wrong, outcome: refuse("wrong") };
  }
  return {
    transaction: mode === "pin" ? { ...rest, phase: "done" } : {
      ...rest,
      phase: "authorized",
      sad: event.sad,
      pending: binding!.hashes,
      remaining: binding!.signatures,
    },
    guard: { ...guard, totpStep: event.totpStep ?? guard.totpStep },
    outcome: ok,
  };
}

function use(state: State, event: Event & { type: "use" }): Step {
  const { transaction } = state;
  if (transaction.phase !== "authorized" || transaction.sad !== event.sad) {
    return { ...state, outcome: refuse("not_authorized") };
  }
  const shown = transaction.shown ?? [];
  const deviates = !fits(transaction, event, transaction.pending!) ||
    (event.bare && transaction.pending!.some((hash) => shown.includes(hash)));
  if (deviates) return end(state, "deviation", refuse("deviation"));
  const { sad, pending, ...rest } = transaction;
  return {
    ...state,
    transaction: {
      ...rest,
      phase: "signing",
      used: sad,
      remaining: rest.remaining - pending!.length,
    },
    outcome: ok,
  };
}

function finish(state: State, how: "signed" | "failed"): Step {
  const { transaction } = state;
  if (transaction.phase !== "signing") return { ...state, outcome: refuse("not_authorized") };
  if (how === "failed") return end(state, "failed", ok);
  const phase = transaction.remaining > 0 ? "authorized" : "done";
  return { ...state, transaction: { ...transaction, phase }, outcome: ok };
}

function extend(state: State, event: Event & { type: "extend" }): Step {
  const { transaction } = state;
  const { more, next } = event;
  const current = transaction.sad === event.sad;
  const last = transaction.sad === undefined && transaction.used === event.sad;
  if (transaction.phase !== "authorized" || !(current || last)) {
    return { ...state, outcome: refuse("not_authorized") };
  }
  // An unused SAD is only made new; after use, the next documents are bound, where that was authorized.
  const right = current
    ? more === undefined || sameList(more, transaction.pending!)
    : transaction.mode === "explicit" && more !== undefined && more.length > 0 &&
      more.length <= transaction.remaining;
  if (!right || !fits(transaction, event, undefined)) {
    return end(state, "deviation", refuse("deviation"));
  }
  return {
    ...state,
    transaction: { ...transaction, sad: next, pending: current ? transaction.pending : more },
    outcome: ok,
  };
}

function fits(
  { client, credential, binding }: Transaction,
  presented: Presented,
  hashes: readonly string[] | undefined,
): boolean {
  return presented.client === client && presented.credential === credential &&
    (presented.hashAlgorithm === undefined || presented.hashAlgorithm === binding!.hashAlgorithm) &&
    (hashes === undefined || sameList(presented.hashes ?? [], hashes));
}

const same = (a: Binding, b: Binding) =>
  a.hashAlgorithm === b.hashAlgorithm && a.signatures === b.signatures &&
  sameList(a.hashes, b.hashes);

const sameList = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((each, i) => each === b[i]);
