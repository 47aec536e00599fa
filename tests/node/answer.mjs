// node answer.mjs QUESTIONS.json OUT.json FOLDER NAME DTYPE: token ids, token types and logits of
// pairs of questions and texts, and the answers of the pipeline.
import fs from "node:fs";
import {
  AutoModelForQuestionAnswering,
  AutoTokenizer,
  env,
  pipeline,
} from "@huggingface/transformers";

const [questions, out, folder, name, dtype] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = folder;
const tokenizer = await AutoTokenizer.from_pretrained(name);
const model = await AutoModelForQuestionAnswering.from_pretrained(name, { dtype });
const answer = await pipeline("question-answering", name, { dtype });
const numbers = (tensor) => Array.from(tensor.data, Number);
const found = [];
for (const { question, text } of JSON.parse(fs.readFileSync(questions))) {
  const inputs = tokenizer(question, { text_pair: text });
  const { start_logits, end_logits } = await model(inputs);
  found.push({
    ids: numbers(inputs.input_ids),
    types: numbers(inputs.token_type_ids),
    start: numbers(start_logits),
    end: numbers(end_logits),
    answer: (await answer(question, text)).answer,
  });
}
fs.writeFileSync(out, JSON.stringify(found));
