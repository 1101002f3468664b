/** The thread of a reader that never comes to an end of some documents, as a mistake in a parser would have it. */
import { questions as ofService } from "../../otp_service/questions.ts";
import { answerQuestions } from "../../reader/worker.ts";
import { questions as ofKeyFiles } from "../../signers/questions.ts";
import { questions } from "../../signing/questions.ts";

function endless(): never {
  for (;;);
}

answerQuestions({
  ...ofService,
  ...ofKeyFiles,
  ...questions,
  ...{ verify: endless, preparedDigest: endless, privateKey: endless, judge: endless },
});
