"""What judges that are asked by prompt share: their metrics' prompts, references, and the gold set and attacks."""

from collections.abc import Mapping

from organisms.data.questions import from_file
from organisms.job.errors import UserError
from organisms.job.log import Report
from organisms.judging.asked import Asked
from organisms.judging.collecting import cell_judgments, collect_cells, collect_items, item_ratings
from organisms.judging.kind import JudgeKind
from organisms.judging.requests import Requests
from organisms.judging.templates import Template, load_template
from organisms.plan.experiment import Experiment
from organisms.plan.metrics import metric_file, read_metric


class JudgeByPrompt(JudgeKind):
    """A judge that is asked by the prompts of its metrics. A kind says how requests are built and answered."""

    by_prompt = True
    requests_class: type[Requests] = Requests

    def template(self, metric: str) -> Template:
        return load_template(metric_file(self.config, metric), read_metric(self.config, metric).bounds)

    def requests(self) -> Requests:
        """Its requests, with the templates of all its metrics."""
        return self.requests_class(self.settings, {metric: self.template(metric) for metric in self.metrics()})

    def parameters(self) -> dict:
        """As of any kind; an edited judge prompt judges again, an edited comment in its file does not."""
        prompts = {metric: self.template(metric).digest for metric in self.metrics()}
        return super().parameters() | {"prompts": prompts, "max_missing": self.entry["max_missing"]}

    def compares(self, question_set: str) -> list[str]:
        """The metrics that compare answers to a question set with a reference."""
        return [m for m in self.metrics(question_set) if "reference" in self.template(m).placeholders]

    def check(self) -> None:
        external = {entry["question_set"] for entry in self.config["external_completions"].values()}
        for question_set in sorted({*self.config["question_sets"], *external}):
            entry = self.config["question_sets"].get(question_set)
            for metric in self.compares(question_set):
                # The miniature's facts come with their answers.
                if entry and (entry["reference_from"] or entry["world"] == ["facts"]):
                    continue
                if not (entry and entry["file"] and all(row["reference"] for row in from_file(entry["file"]))):
                    raise UserError(
                        f"metric '{metric}' compares with a reference, and question set '{question_set}' has none that "
                        f"is known to be good; give question_sets.{question_set}.reference_from or a question file "
                        f"with references, or limit metrics.{metric}.question_sets"
                    )

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        """The tables of questions whose references are compared with."""
        known = [name for name in experiment.question_sets if name in self.config["question_sets"]]
        return {"questions": [f"<results>/questions/{name}.parquet" for name in known if self.compares(name)]}

    def ratings(
        self, requests: Requests, asked: Asked, sources: Mapping[str, list[str]], report: Report
    ) -> tuple[dict[str, dict], list[dict]]:
        """What it says to each request, by its key (`Asked.rating_rows`), and rows of the usage table."""
        raise NotImplementedError

    def judgments(self, cells, sources, report):
        requests = self.requests()
        metrics = {rows[0]["question_set"]: self.metrics(rows[0]["question_set"]) for rows in cells if rows}
        asked = collect_cells(requests, cells, metrics, sources.get("questions", []))
        said, usage = self.ratings(requests, asked, sources, report)
        return cell_judgments(self.name, requests, cells, asked, said), usage

    def item_ratings(self, items: str, path: str, sources: Mapping[str, list[str]], report: Report) -> list[dict]:
        """Rows of the ratings table: what it says of the gold set or the attacks (`items`), which stand in a file."""
        requests = self.requests()
        asked = collect_items(requests, items, path)
        said, _ = self.ratings(requests, asked, sources, report)
        return [{"judge": self.name} | row for row in item_ratings(items, path, asked, said, requests.samples)]
