/** The words of `dsign doctor`. */
import { bn } from "./bn/doctor.ts";
import { type DoctorWords, en } from "./en/doctor.ts";
import { hi } from "./hi/doctor.ts";
import type { Language } from "./speech.ts";

export const DOCTOR_WORDS: Readonly<Record<Language, DoctorWords>> = { en, bn, hi };
