/** The language that a person has chosen on a service's pages, kept by the browser. */
import { type Language, languageOf } from "../words/speech.ts";

const KEY = "dsign.language";

/** The chosen one. @param otherwise BCP 47: where none was chosen */
export function keptLanguage(otherwise: string): Language {
  try {
    return languageOf(localStorage.getItem(KEY) ?? otherwise);
  } catch {
    return languageOf(otherwise); // a browser that keeps nothing
  }
}

export function keepLanguage(language: Language): void {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // as above
  }
}
