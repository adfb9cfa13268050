"""The Axolotl YAML that trains one of our students."""

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.tasks.math import TASK
from axolotl_synthetic.training import config_for

TRAINING = {
    "base_model": "model",
    "num_epochs": 3,
    "seed": 11,
    "plugins": ["axolotl_synthetic.SyntheticPlugin", "other.Plugin"],
    "datasets": [
        {"path": "mine.jsonl", "type": "alpaca"},
        {"path": "synthetic/train.jsonl", "type": "chat_template", "train_on_eos": "all"},
    ],
    "synthetic": {},
    "output_dir": "out",
}
SETTINGS = load_settings({"output_dir": "synthetic"})


def test_a_student_is_trained_with_the_users_config_on_its_own_file_into_its_own_folder(tmp_path):
    made = config_for(TRAINING, tmp_path / "train-1.jsonl", tmp_path, settings=SETTINGS, task=TASK, seed=13)
    assert "synthetic" not in made and made["plugins"] == ["other.Plugin"]
    assert made["datasets"] == [
        {"path": "mine.jsonl", "type": "alpaca"},
        {"path": str(tmp_path / "train-1.jsonl"), "type": "chat_template", "train_on_eos": "all"},
    ]
    assert (made["output_dir"], made["seed"], made["num_epochs"]) == (str(tmp_path / "student"), 13, 3)


def test_what_a_round_changes_takes_the_place_of_what_the_user_wrote_and_never_of_files_and_folders(tmp_path):
    changes = {"num_epochs": 1, "adapter": "lora", "seed": 5}
    made = config_for(TRAINING, tmp_path / "train-1.jsonl", tmp_path, settings=SETTINGS, task=TASK, seed=13, changes=changes)
    assert (made["num_epochs"], made["adapter"], made["seed"]) == (1, "lora", 5)
    assert made["output_dir"] == str(tmp_path / "student")


def test_without_an_entry_of_the_users_the_file_is_read_as_chats(tmp_path):
    made = config_for({"base_model": "model"}, tmp_path / "train-1.jsonl", tmp_path, settings=SETTINGS, task=TASK, seed=13)
    [entry] = made["datasets"]
    assert (entry["path"], entry["type"]) == (str(tmp_path / "train-1.jsonl"), "chat_template") and "plugins" not in made


def test_a_student_of_ours_is_not_pushed_to_the_users_repository_and_does_not_go_on_from_their_checkpoint(tmp_path):
    theirs = {"hub_model_id": "me/model", "hub_strategy": "every_save", "resume_from_checkpoint": "out/checkpoint-9", "wandb_run_id": "abc"}
    theirs |= {"push_dataset_to_hub": "me/data", "wandb_project": "mine"}
    made = config_for({**TRAINING, **theirs}, tmp_path / "train-1.jsonl", tmp_path, settings=SETTINGS, task=TASK, seed=13)
    assert made.keys() & theirs.keys() == {"wandb_project"}
