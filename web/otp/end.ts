import type { OtpWord } from "../../words/otp.ts";

/** How it ended: what is said, and where the browser goes. */
export interface End {
  word: OtpWord;
  good: boolean;
  redirect?: string;
  /** The browser goes by itself; else by the person's click, so that the reason can be read. */
  go?: boolean;
}
