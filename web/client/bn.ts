/** Errors in Bengali (বাংলা): `connect({ messages: bn })`. */
import { bn as ofClient } from "../../words/bn/client.ts";
import { bn as ofErrors } from "../../words/bn/errors.ts";
import type { Messages } from "./errors.ts";

/** Sentences by `error.code`. Errors of programmers have none and stay in English. */
export const bn: Messages = { ...ofErrors, ...ofClient };
