"""The method of the paper (arXiv 2402.03715), pure: arrays in, values out.

| module | what it holds |
|---|---|
| similarity | inner products of L2-normalised embeddings |
| grammar, phrases | compound phrases: what they mean, their calibration and their scores |
| error_score | how well a phrase explains the errors, and how much of that may be luck |
| best_cut | the cut behind it, searched exactly |
| descriptions | a kept phrase with its threshold: what cuts a class in two |
| groups, cells | described and annotated groups, as two types that cannot be mixed up |
| objectives, head, training | the last layer and the convex problems that fit it |
| metrics | average, adjusted average and worst-group accuracy; paired intervals |
| arrays | checks on the arrays handed in; seeded random generators by purpose |

Nothing here reads a file, asks for the time, or knows about MLflow or Streamlit.
"""
