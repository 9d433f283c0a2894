"""A local model: the expected score over its number tokens, in one forward pass for each judgment."""

from pathlib import Path

from organisms.judging.asked import usage_rows
from organisms.judging.by_prompt import JudgeByPrompt
from organisms.judging.judgments import check_missing
from organisms.judging.kind import ledger_path
from organisms.judging.ledger import open_ledger
from organisms.judging.requests import Ask, Requests
from organisms.judging.responses import Response
from organisms.plan.experiment import Experiment
from organisms.plan.model_files import model_folder_files


class LocalRequests(Requests):
    """A prompt, and the model that reads it."""

    def request(self, ask: Ask) -> dict:
        request = {"prompt": self.prompt(ask), "flags": self.templates[ask.metric].flags}
        return request | {key: self.settings[key] for key in ("model", "revision", "dtype")}


class Kind(JudgeByPrompt):
    """Loaded once for all that it judges; what a killed job found is in the ledger."""

    rule = "local_judgments"
    decisive = ("model", "revision")
    requests_class = LocalRequests

    @property
    def settings(self) -> dict:
        return super().settings | {"dtype": self.config["dtype"], "samples": 1}

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        folder = Path(self.entry["model"]).expanduser()
        fetched = [f"<results>/download_judge/{self.name}/model.json"]
        return super().sources(experiment) | {"model": model_folder_files(folder) if folder.is_dir() else fetched}

    def ratings(self, requests, asked, sources, report):
        """Raises UserError if more than max_missing of a cell's rows have no usable answer."""
        from organisms.judging.number_tokens import as_text, from_text, judge_prompts
        from organisms.models.opening import open_model

        name = self.entry["model"] + (f"@{self.entry['revision']}" if self.entry["revision"] else "")
        with open_ledger(ledger_path(self.config, self.name), report) as ledger:
            missing = [key for key in asked.asks if not ledger.attempts(key)]
            report(f"{asked.n_rows} judgments, {len(asked.asks)} distinct, {len(missing)} to make")
            if missing:
                base = {key: self.config[key] for key in ("device", "dtype")}
                opened = open_model(list(sources["model"]), base, system_role=False)
            for metric, template in requests.templates.items():
                prompts = {key: requests.prompt(asked.asks[key]) for key in missing if asked.asks[key].metric == metric}
                if prompts:
                    judge_prompts(
                        opened,
                        prompts,
                        template,
                        self.entry["batch_size"],
                        report,
                        keep=lambda batch: ledger.add(
                            Response(key, "local", name, as_text(rating, mass), None, n_tokens, 0, 0)
                            for key, rating, mass, n_tokens in batch
                        ),
                    )
            found = {key: from_text(ledger.attempts(key)[-1][0]) for key in asked.asks}
            usage = usage_rows(self.name, ledger, asked.asks)
        check_missing(asked.by_cell(found), self.entry["max_missing"])
        return asked.rating_rows(found, {key: {"judge_model": name} for key in found}), usage
