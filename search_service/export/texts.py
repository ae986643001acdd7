"""The texts of an exported model: `network.py` and `network.json` (the network as anybody would write it), `README.md`.

They are made of the model itself, so that they say nothing that is not so; tests run what they show. Names and labels
come out of tables, so anybody may have written them: in ``network.py`` stands none of them, only numbers of this
project; they are data in ``network.json``, and code spans or quoted strings in ``README.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from textwrap import indent

from search_service.records.numbers import score_text
from trainables.averaging import MEANINGS, Meaning
from trainables.data.columns import Column
from trainables.model import TableModel
from trainables.model_facts import Facts
from trainables.plain_network import sources_of
from trainables.visible import code_span, visible_json

_NETWORK = '''"""A network by itself: nothing but torch is needed.

    inputs   [rows, {inputs}] float32: the columns of FEATURES, prepared as in training (the raw table's are others)
    outputs  [rows, {outputs}]: FACTS["outputs"] says what they mean

Names (of the study, of features, of classes) are data and stand in network.json beside this file.

>>> network = load("network.pt")
>>> network(torch.zeros(1, {inputs})).shape
torch.Size([1, {outputs}])
"""

import json
from pathlib import Path

import torch
from torch import nn

FACTS = json.loads(Path(__file__).with_name("network.json").read_text(encoding="utf-8"))
FEATURES = tuple(FACTS["features"])
CLASSES = tuple(FACTS["classes"])


{network}


def load(path="network.pt"):
    """The network with its weights; no code in the file can run."""
    network = Network()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network
'''

_ONE_NETWORK = '''class Network(nn.Sequential):
    """{layers}; in evaluation mode, since there is no dropout in it any more."""

    def __init__(self):
        super().__init__(
{modules}        )
        self.eval()'''

_AVERAGE = '''class Network(nn.Module):
    """The mean of {count} networks ({layers}); in evaluation mode, since there is no dropout in it any more."""

    def __init__(self):
        super().__init__()
        self.networks = nn.ModuleList(
            [
{modules}            ]
        )
        # What each counts for.
        self.register_buffer("shares", torch.zeros({count}, dtype=torch.float64))
        self.eval()

    def forward(self, rows):
        outputs = torch.stack([network(rows) for network in self.networks])  # [{count}, rows, {outputs}]
        shares = self.shares.to(outputs).view(-1, 1, 1)
{mean}'''

# Of outputs [networks, rows, outputs] and shares [networks, 1, 1], by what outputs are.
_MEANS: Mapping[Meaning, str] = {
    "number": "        return (outputs * shares).sum(0)",
    "logits": "        return torch.logsumexp(outputs.log_softmax(2) + shares.log(), 0)",
    "log_odds": """        yes = torch.logsumexp(nn.functional.logsigmoid(outputs) + shares.log(), 0)
        no = torch.logsumexp(nn.functional.logsigmoid(-outputs) + shares.log(), 0)
        return yes - no""",
}

_README = """# {name}

Predicts {target} from raw rows: {predicts}. It was chosen by validation {metric}.

## Call it

From Python, with `pip install -r mlflow_model/requirements.txt`:

```python
import mlflow
import pandas

model = mlflow.pyfunc.load_model("mlflow_model")
rows = pandas.DataFrame({rows})
print(model.predict(rows))
```

Over HTTP, in an activated environment with the same requirements:

```sh
MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false mlflow models serve -m mlflow_model --env-manager local --port 5001
curl http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' -d '{request}'
```

A file at a time, where search-service is installed: `search-service predict . rows.csv --to predictions.csv`.

## What it takes

All of these columns, in any order; others are left out. A value may be missing anywhere (`null`, an empty cell), and a
category that training did not have is fine. A row that lacks a column, or has a value that is not of its kind, is
refused with the name of the column.

| column | kind | such as |
| --- | --- | --- |
{columns}

## What it gives

{gives}

## The network alone

`network.py` defines it with nothing but torch, `network.json` has its names, and `network.pt` its weights.{onnx} It
takes rows that are prepared already (`network.FEATURES` says which {inputs} columns); what prepares them is in
`mlflow_model/`.

```python
import network

net = network.load("network.pt")
```

Nothing in this folder is a pickle that could run code: weights are read with `weights_only=True`, the preparation with
skops. `mlflow_model/` does hold code, to be read: `code/` and `served.py`.
"""

_KINDS = {
    "numeric": "number",
    "boolean": "true or false",
    "categorical": "text or code",
    "date": "date",
    "text": "words",
}


def network_source(model: TableModel) -> str:
    """``network.py``."""
    sizes = model.facts.architecture.layer_sizes
    return _NETWORK.format(inputs=sizes[0], outputs=sizes[-1], network=_network_class(model))


def _network_class(model: TableModel) -> str:
    facts = model.facts
    sizes = facts.architecture.layer_sizes
    if facts.shares:
        layers = "; ".join(dict.fromkeys(_layers(each.layer_sizes) for each in (facts.architecture, *facts.others)))
        modules = "".join(f"nn.Sequential(\n{indent(source, ' ' * 4)}),\n" for source in sources_of(model.network))
        return _AVERAGE.format(
            count=facts.networks,
            layers=layers,
            modules=indent(modules, " " * 16),
            outputs=sizes[-1],
            mean=_MEANS[MEANINGS[facts.loss]],
        )
    (source,) = sources_of(model.network)
    return _ONE_NETWORK.format(layers=_layers(sizes), modules=indent(source, " " * 12))


def _layers(sizes: Sequence[int]) -> str:
    return f"{len(sizes) - 1} linear layer{'s' if len(sizes) > 2 else ''}, {' → '.join(map(str, sizes))} units"


def network_facts(model: TableModel) -> str:
    """``network.json``: what ``network.py`` knows beside numbers."""
    facts = model.facts
    content = {
        "name": facts.name,
        "target": facts.target,
        "features": list(model.preparation.feature_names),
        "classes": list(facts.class_names),
        "outputs": _meaning(model),
    }
    # ASCII: any editor or tool shows it alike, and half of a surrogate pair can be written too.
    return json.dumps(content, indent=1) + "\n"


def readme(model: TableModel, *, has_onnx: bool) -> str:
    """``README.md``.

    Args:
        model: The model.
        has_onnx: Whether ``network.onnx`` lies beside it.
    """
    facts = model.facts
    example = [dict(row) for row in facts.example[:2]]
    return _README.format(
        name=code_span(facts.name),
        target=code_span(facts.target),
        predicts=f"one of {len(facts.class_names)} classes" if facts.class_names else "a number",
        metric=facts.metric,
        rows=repr(example),
        request=visible_json({"dataframe_records": example}).replace("'", "'\\''"),
        columns="\n".join(_row(column, example) for column in model.preparation.schema.columns),
        gives=_gives(model),
        onnx=" `network.onnx` is the same for ONNX Runtime." if has_onnx else "",
        inputs=facts.architecture.layer_sizes[0],
    )


def _meaning(model: TableModel) -> str:
    facts = model.facts
    if not facts.class_names:
        return f"a number; times {facts.target_scale!r} plus {facts.target_mean!r} it is {_of_target(facts)}"
    names = ", ".join(facts.class_names[:8]) + (", ..." if len(facts.class_names) > 8 else "")
    over = f" over {facts.temperature!r}" if facts.temperature != 1.0 else ""
    if facts.architecture.layer_sizes[-1] == 1:
        return f"log-odds of {facts.class_names[1]}; sigmoid{over} makes them a probability{_named(model)}"
    if facts.has_probabilities:
        return f"logits of {names}; softmax{over} makes them probabilities{_named(model)}"
    return f"scores of {names}; the largest wins"


def _of_target(facts: Facts) -> str:
    """What a number is of the target, once it is scaled back."""
    if facts.target_transform == "sqrt":
        return f"the square root of {facts.target} (times |itself| it is {facts.target})"
    if facts.target_transform == "log":
        return f"sign · ln(1 + |{facts.target}|) (sign · (exp(|itself|) - 1) is {facts.target})"
    return facts.target


def _named(model: TableModel) -> str:
    """From which probability on the second class is predicted; empty where it is one half."""
    facts = model.facts
    return "" if facts.threshold == 0.5 else f"; {facts.class_names[1]} is predicted from {facts.threshold!r} on"


def _gives(model: TableModel) -> str:
    facts = model.facts
    if not facts.class_names:
        number = f"`prediction`: {code_span(facts.target)}, a number in its own units"
        if not facts.prediction_interval:
            return f"{number}."
        ends = f"`lower` and `upper`, {score_text(facts.half_width)} below and above it"
        return f"{number}; {ends}: between them lies {facts.prediction_interval:.4g} of new rows' true numbers."
    if not facts.has_probabilities:
        return "`prediction`: the class, as text. The hinge loss, which it was trained with, gives no probabilities."
    names = ", ".join(code_span(name) for name in facts.prediction_columns[1:9])
    more = ", ..." if len(facts.prediction_columns) > 9 else ""
    from_on = ""
    if facts.threshold != 0.5:
        from_on = f", {code_span(facts.class_names[1])} from a probability of {facts.threshold:.4g} on"
    return f"`prediction`: the class, as text{from_on}; {names}{more}: the probability of each class."


def _row(column: Column, example: Sequence[dict[str, object]]) -> str:
    shown = next((visible_json(row[column.name]) for row in example if row[column.name] is not None), "")
    return f"| {code_span(column.name)} | {_KINDS[column.kind]} | {code_span(shown) if shown else ''} |"
