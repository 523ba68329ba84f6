"""Names of the files that steps hand to one another; here, so that reading a name loads no library."""

TIMELINE = "training_timeline.json"
JOINS = "join_report.json"
EXTENSION = "extension.json"
PREVIOUS = "previous"
EVALUATION = "evaluation.json"
REGISTRATION = "registration.json"
