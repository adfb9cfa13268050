"""NeMo data-designer: a column of generated text for each prompt; it runs the rows of a group independently."""

from __future__ import annotations

import data_designer.config as dd
import pandas
from data_designer.interface import DataDesigner
from task import ANSWER, KEY, MAX_TOKENS, MODEL, NEW_QUESTION, SELF_CHECK, TEMPERATURE, arguments, questions, report


def template(prompt: str, column: str) -> str:
    return prompt.replace("{question}", "{{ " + column + " }}")


def main() -> None:
    options = arguments()
    seeds = options.folder / "seeds.parquet"
    pandas.DataFrame({"question": questions(options.samples)}).to_parquet(seeds)
    model = dd.ModelConfig(
        alias="teacher",
        model=MODEL,
        provider="local",
        skip_health_check=True,
        inference_parameters=dd.ChatCompletionInferenceParams(
            temperature=TEMPERATURE, max_tokens=MAX_TOKENS, timeout=600, max_parallel_requests=options.concurrency
        ),
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=str(seeds)))
    columns = [("reply", ANSWER, "question")]
    if options.calls == 3:
        columns = [("new_question", NEW_QUESTION, "question"), ("verdict", SELF_CHECK, "new_question"), ("reply", ANSWER, "new_question")]
    for name, prompt, column in columns:
        builder.add_column(dd.LLMTextColumnConfig(name=name, prompt=template(prompt, column), model_alias="teacher"))
    # It orders columns by the references in their prompts; no prompt refers to the self-check, as in the other contestants' chains.
    designer = DataDesigner(
        artifact_path=options.folder,
        model_providers=[dd.ModelProvider(name="local", endpoint=options.base_url, provider_type="openai", api_key=KEY)],
    )
    designer.set_run_config(dd.RunConfig(otel_metrics_port=None))
    results = designer.create(builder, num_records=options.samples, dataset_name="peer")
    report(results.load_dataset()["reply"])


if __name__ == "__main__":
    main()
