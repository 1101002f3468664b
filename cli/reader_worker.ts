/** The thread in which untrusted documents are parsed: of a reader process, or of a command. */
import { answerQuestions } from "../reader/worker.ts";
import { questions as ofService } from "../otp_service/questions.ts";
import { questions as ofKeyFiles } from "../signers/questions.ts";
import { questions } from "../signing/questions.ts";
import { questions as ofVerification } from "../verify_service/questions.ts";

answerQuestions({ ...ofService, ...ofKeyFiles, ...questions, ...ofVerification });
