"""Training networks: batches, pictures, steps, checkpoints; on one process or several.

| module | what it is for |
|---|---|
| schedule | what is chosen of a training, and the rate of learning at each step |
| batches | which images each step takes: functions of the seed and the step, nothing else |
| pictures | images as a network takes them, varied in training and plain in evaluation |
| task | what is trained on, how far it is, what it came to |
| loop | the steps themselves, from the last checkpoint on |
| state | what is remembered between steps |
| evaluation | what a network takes images for |
| checkpoints | where a training stands, on disk, whole or as it was before |
| processes | several processes, each with its part of every batch |
| memory | what a step will need, and the largest batch that fits |
"""
