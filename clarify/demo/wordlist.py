"""The list of taught words: for each role in a sentence, attribute | values | words.

A line without a bar continues the line above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_NOUNS = """
subject | bird cat dog horse fish butterfly | animal creature beast fauna critter being
subject | bird cat dog horse | vertebrate
subject | cat dog horse | mammal quadruped
subject | cat dog | pet carnivore companion
subject | car boat | vehicle transport conveyance craft
subject | square ellipse triangle heart | shape figure symbol outline geometry silhouette
subject | square triangle | polygon
subject | bird butterfly | flyer
subject | bird | bird birdie fowl avian wildfowl feather beak plumage poultry nestling
subject | cat | cat kitten kitty feline tomcat tabby pussycat mouser whisker moggy housecat paw
subject | dog | dog puppy hound canine mutt pooch doggy terrier spaniel labrador retriever pup
    collar beagle mongrel watchdog
subject | horse | horse pony stallion mare foal mustang steed colt equine mane bronco hoof filly
    gelding
subject | fish | fish goldfish trout carp salmon perch herring fin cod minnow haddock gill bream
    snapper
subject | butterfly | butterfly moth insect bug monarch lepidopteran pollinator antenna
    swallowtail
subject | house | house cottage home hut cabin bungalow dwelling chalet villa residence shack
    chimney lodge homestead roof
subject | car | car automobile auto sedan hatchback motorcar taxi coupe limousine saloon jalopy
    wheel
subject | boat | boat sailboat ship yacht vessel dinghy sailing schooner sail sloop hull ketch
    ferry catamaran mast
subject | flower | flower blossom bloom daisy petal floret plant blossoming tulip sunflower posy
    stem poppy marigold bouquet
subject | square | square quadrilateral rectangle box block tile quadrangle
subject | ellipse | ellipse oval circle disc round disk ring dot roundel
subject | triangle | triangle wedge triangular pyramid delta trigon
subject | heart | heart valentine sweetheart lovely love
bird | songbird | songbird sparrow robin finch warbler wren thrush blackbird canary starling
    passerine nightingale tit bunting chickadee swallow landbird perching lark songster linnet
    redstart bluebird oriole wagtail
bird | duck | duck waterfowl mallard drake duckling goose waterbird teal swan eider paddler
    quacker pintail shoveler gadwall webbed gosling merganser wigeon quack
"""

_PLACES = """
background | forest meadow field desert mountain beach city sea lake river | outdoors outside
    exterior outdoor open-air
background | forest meadow field desert mountain | land ground terrestrial earth inland mainland
    dryland soil terrain
background | forest meadow desert mountain sea lake river beach | nature wilderness wild natural
background | sea lake river | water waters aquatic watery waterside waterscape afloat liquid
    swimming
background | sea lake river beach | waterfront
background | sea beach | coast ocean seaside coastal saltwater marine maritime
background | lake river | freshwater
background | forest meadow field river | countryside rural greenery
background | meadow field | farmland pastoral
background | city room | man-made
background | forest | forest woods woodland trees grove thicket pines timberland wood wooded
    forested sylvan copse tree firs conifers foliage undergrowth rainforest spinney backwoods
    pinewood arboreal trunk jungle evergreen oak canopy timber
background | meadow | meadow grass grassland pasture lawn prairie grassy lea turf sward hillside
    hills hillock downs paddock glade grazing wildflowers verdant
background | field | field farm crops plough furrows cropland acre farmyard fence harvest
    cornfield wheat agriculture barley tillage ploughed stubble plantation rows agrarian
    cultivated
background | desert | desert dunes arid cactus sahara wasteland badlands dune cacti parched barren
    scorched gobi oasis desolate
background | mountain | mountain peaks summit alps alpine mountains highland ridge mountainous
    crag cliff peak highlands rocky himalaya range massif sierra hilltop rocks upland
background | beach desert | sand sandy
background | beach | beach shore seashore shoreline palm strand parasol sunshade tropical holiday
    bathing vacation sunbathing
background | city | city street town skyscrapers urban downtown metropolis skyline towers road
    cityscape towerblocks metropolitan municipal pavement avenue offices boulevard asphalt traffic
    borough
background | room | room indoors inside indoor interior parlour lounge bedroom apartment household
    curtains living-room domestic carpet wall floorboards furnished rug salon chamber nursery
    dining
background | sea | sea waves seascape offshore deep surf swell billows breakers wave pelagic tide
    oceanic brine atlantic pacific swells seawater crest
background | lake | lake pond reeds lagoon lakeside loch reservoir pool tarn mere lakeshore reed
    bulrushes rushes lakeland wetland marsh cattails still
background | river | river stream brook creek riverbank riverside waterway rivulet tributary canal
    current winding meander channel beck bend banks estuary rivers
background | plain | plain blank studio backdrop empty featureless bare uniform solid unicoloured
    monochrome flat
"""

_COLOURS = """
colour | red | red crimson scarlet ruby vermilion cherry cardinal reddish blood tomato strawberry
    cerise garnet rouge
colour | orange | orange tangerine amber apricot carrot pumpkin clementine mandarin orangey
    marmalade satsuma
colour | yellow | yellow lemon golden gold mustard saffron banana yellowish blond primrose
    buttercup
colour | green | green emerald olive jade lime viridian moss verdigris pea shamrock greenish apple
colour | blue | blue azure cobalt navy sapphire cerulean indigo ultramarine bluish cyan cornflower
    royal denim
colour | purple | purple violet mauve plum amethyst aubergine magenta purplish grape heliotrope
    lilac orchid
colour | pink | pink fuchsia blush rosy pinkish flamingo bubblegum carnation peachy
colour | brown | brown chocolate chestnut coffee tan umber sepia hazel brownish walnut cocoa
    mahogany bronze tawny
colour | black | black ebony jet onyx charcoal raven inky blackish soot sable coal pitch
colour | white | white ivory pearl alabaster whitish milky cream creamy chalk pale lily bleached
colour | grey | grey gray silver ash slate greyish pewter leaden steel graphite silvery ashen
    smoky
colour | red orange yellow | warm-coloured
colour | red orange yellow green blue purple pink | colourful vivid chromatic bright-coloured
colour | black white grey | colourless achromatic neutral
"""

_TIMES = """
time | day | day daytime daylight noon midday afternoon morning sunlit forenoon noontime sunlight
    daily
time | night | night dark midnight nighttime moonlit moonlight darkness nocturnal nightfall
    starlit moon starry crescent unlit late blackness
time | sunset | sunset dusk sundown twilight evening sunrise dawn gloaming daybreak crepuscular
    golden-hour glow afterglow sunup
"""

_WEATHERS = """
weather | clear | clear cloudless fair dry unclouded
weather | rain | rain rainy drizzle raining wet downpour shower showers rainfall rainstorm
    drenched drizzly raindrops pouring soaked soaking deluge torrent damp cloudburst pelting
weather | fog | fog foggy mist misty haze hazy murky veiled smog vapour obscured shrouded blurred
    brume faint
weather | snow | snow snowy snowing blizzard winter snowfall snowflakes wintry flurry snowstorm
    frosty flakes cold frost freezing icy sleet december christmas
weather | rain snow | precipitation
weather | rain fog snow | overcast inclement dismal
"""

_STYLES = """
style | photo | photo photograph photographic photography realistic snapshot photorealistic camera
    lifelike photos snap realism
style | cartoon | cartoon comic animated cartoonish animation toon clipart illustration outlined
    comics anime
style | sketch | sketch pencil sketched crayon sketchy doodle hatched pencilled draft scribble
    chalked penciled hatching
style | cartoon sketch | drawing drawn unrealistic
"""

_COUNTS = """
count | 1 | one single alone lone solitary sole singleton lonely individual solo
count | 2 | two pair couple both twin duo twosome double twins
count | 3 | three trio triple threesome triplet triplets
count | 2 3 | several many multiple group together plural numerous
"""

_POSITIONS = """
position | left | left leftmost left-hand leftward lefthand
position | centre | centre center middle central centred centered midway
position | right | right rightmost right-hand rightward righthand
position | left right | off-centre
"""

_SIZES = """
size | small | small tiny little miniature minute wee distant faraway petite diminutive teeny
size | medium | medium middling medium-sized moderate mid-sized average
size | large | large big huge giant enormous near close-up massive closeup gigantic towering
    immense
"""

WORD_LISTS: Mapping[str, str] = MappingProxyType(
    {
        "noun": _NOUNS,
        "place": _PLACES,
        "colour": _COLOURS,
        "time": _TIMES,
        "weather": _WEATHERS,
        "style": _STYLES,
        "count": _COUNTS,
        "position": _POSITIONS,
        "size": _SIZES,
    }
)
"""Role in a sentence -> its lines."""
