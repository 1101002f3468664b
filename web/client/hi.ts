/** Errors in Hindi (हिन्दी): `connect({ messages: hi })`. */
import { hi as ofClient } from "../../words/hi/client.ts";
import { hi as ofErrors } from "../../words/hi/errors.ts";
import type { Messages } from "./errors.ts";

/** Sentences by `error.code`. Errors of programmers have none and stay in English. */
export const hi: Messages = { ...ofErrors, ...ofClient };
