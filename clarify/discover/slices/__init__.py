"""Groups of images that fail together, found by methods of the literature and by trivial ones.

| module | what it holds |
|---|---|
| interface | what a method sees of images and of phrases, and what a slice is |
| trivial | confusion cells and k-means of wrong images: what every method has to beat |
| mixtures | Domino, and the mixture within a class of FACTS |
| direction | the failure direction of Jain et al. |
| spotlight | the Spotlight |
| tree | Barlow's tree |
| words | words by score, B2T, words by rate, SliceLine on a table of phrases |
| methods | the table of all of them |

Arrays in, slices out. A method sees images of one split once and never their groups; its slices score any
other images, so that membership can be judged on a split which had no part in it.
"""
