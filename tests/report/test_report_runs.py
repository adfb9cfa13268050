"""The report of a real run: in progress, after a kill, and complete."""

from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic

from fake_replies import MathReplies
from fake_server import FakeServer
from projects import Project, until

MIX = {"answer_augmentation": 0.5, "question_rephrase": 0.25, "new_question": 0.25}


def read(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    result = CliRunner().invoke(synthetic, ["report", "config.yml"])
    assert result.exit_code == 0, result.output
    return " ".join((project.out / "report.html").read_text(encoding="utf-8").split())


def test_a_run_is_reported_under_way_after_its_end_by_force_and_when_it_is_complete(tmp_path, monkeypatch):
    project = Project(tmp_path / "project", seeds=40)
    verify = ["format", "final_answer", "duplicate", {"self_consistency": {"k": 3}}]
    with FakeServer(reply=MathReplies(wrong=0.2), latency=0.3) as server:
        # Slow enough to be still running after the first report.
        slow = {"teacher": {"concurrency": 4}, "seeds": {"path": "seeds.jsonl", "holdout": 4}}
        project.configure(server, strategy=MIX, budget={"samples": 40}, verify=verify, **slow)
        run = project.start()
        assert until(lambda: (project.out / "ledger.sqlite").exists() and server.count > 20)
        assert "it is at work now" in read(project, monkeypatch)
        run.kill()
        run.wait()
        assert project.ends()
        assert "it was stopped, or never began" in read(project, monkeypatch)
        assert not (project.out / "README.md").exists()
        assert project.run().code == 0
    training = project.training_bytes
    page = read(project, monkeypatch)
    manifest = project.manifest
    counts = manifest["counts"]
    assert "not finished" not in page
    assert f"<b>{counts['accepted']:,}</b> samples accepted of {counts['planned']:,}" in page
    assert f"<b>{manifest['queries']['total']:,}</b> calls to the models" in page
    assert f"{manifest['queries']['reused']:,} replies from the ledger" in page
    for check, number in manifest["rejections"].items():
        assert f"; {number:,} rejected by {check};" in page
    assert f"{manifest['files']['train']['rows']:,} trained on" in page
    # Three votes each: the bars' labels.
    assert "3 of 3" in page
    card = (project.out / "README.md").read_text()
    assert "](figures/flow.png)" in card
    assert project.training_bytes == training
