"""Names of breweries, beers, styles and people. They contain accents, quotes and commas on purpose."""

from __future__ import annotations

BREWERY_PLACES = (
    "Alder Creek", "Ballard", "Černý Most", "Düssel", "Eau Claire", "Fjordgård", "Grand Forks", "Höllental", "Île d'Orléans", "Järvenpää",
    "Kraków", "Lake Superior", "Münster", "Nørrebro", "O'Fallon", "Peñasco", "Québec", "Rivière-du-Loup", "Saint-Éloi", "Tromsø",
    "Uxbridge", "Vår Gård", "Wąbrzeźno", "Yakima", "Žatec", "東京", "Ærø", "Ångström", "Łódź", "São Bento",
)  # fmt: skip
BREWERY_KINDS = (
    "Brewing Company", "Brewery, Inc.", "Brauerei", "Brasserie", "Beer Works", 'Ales "On Tap"', "Brewpub & Grill", "Pivovar, a. s.",
    "Farmhouse", "Bryggeri", "Cervejaria", "Craft Beer, LLC", "Brothers' Brewery", "Mikrobryggeri",
)  # fmt: skip
BEER_FIRST = (
    "Amber", "Black", "Crooked", "Double", "Émigré's", "Foggy", "Golden", "Hoppy", "Iron", "Jolly", "King's", "Lost", "Midnight", "Noble",
    'Old "Reliable"', "Pale", "Quiet", "Red", "Smoky", "Twisted", "Über", "Velvet", "Wild", "Zwölf",
)  # fmt: skip
BEER_SECOND = (
    "Anchor", "Badger", "Cactus", "Dœuf", "Elk, Reborn", "Fox", "Goat", "Harvest", "Ivy", "Jäger", "Kölsch", "Lantern", "Moose", "Nectar",
    "Owl", "Piñon", "Queen", "Raven", "Saint", "Thunder", "Viking's", "Wheat", "Ýmir", "Zephyr",
)  # fmt: skip
BEER_LAST = ("", " IPA", " Stout", " Lager", " Reserve", " No. 9", ", Barrel-Aged", " (Batch 2)", " 50/50", " — Vintage")
STYLES = (
    "American IPA", "American Pale Ale (APA)", "Russian Imperial Stout", "American Double / Imperial IPA", "Saison / Farmhouse Ale",
    "Hefeweizen", "Märzen / Oktoberfest", "American Porter", "Witbier", "Fruit / Vegetable Beer", "Kölsch", "Tripel", "Dubbel",
    "English Bitter", "Belgian Strong Dark Ale", "Scotch Ale / Wee Heavy", "Schwarzbier", "Czech Pilsener", "Rauchbier", "Bière de Garde",
    "Lambic - Fruit", "Baltic Porter", "Maibock / Helles Bock", "Cream Ale", "Rye Beer", "Vienna Lager", "Gose", "Berliner Weissbier",
    "Altbier", "Old Ale", "Black & Tan", "Sahti", 'Beer, "Near"', "Faro", "Happoshu", "Kvass",
)  # fmt: skip
FIRST_NAMES = (
    "ana", "bjorn", "chloe", "dmitri", "elena", "farid", "grace", "hugo", "ines", "jorge", "kofi", "lena", "maria", "noah", "olga", "priya",
    "quinn", "rosa", "sven", "tomas", "uma", "victor", "wanda", "xavier", "yuki", "zoe",
)  # fmt: skip
LAST_NAMES = (
    "adams", "brown", "costa", "dubois", "evans", "fischer", "garcia", "hansen", "ivanov", "jones", "kim", "lopez", "martin", "nguyen",
    "okafor", "patel", "quintero", "rossi", "smith", "tanaka", "ueda", "vargas", "weber", "xu", "young", "zimmer",
)  # fmt: skip
HANDLES = (
    "{first}{n}",
    "{first}_{last}",
    "{First} {Last}",
    "{last}, {first}",
    "hop_{first}",
    "{first}’s cellar",
    'the "{last}"',
    "bière{n}",
)
MAIL_DOMAINS = ("example.com", "example.org")
STATES = (
    "CA", "TX", "FL", "NY", "PA", "IL", "OH", "GA", "NC", "MI", "NJ", "VA", "WA", "AZ", "MA", "TN", "IN", "MO", "MD", "WI",
    "CO", "MN", "SC", "AL", "LA", "KY", "OR", "OK", "CT", "UT", "IA", "NV", "AR", "MS", "KS", "NM", "NE", "ID", "WV", "HI",
    "NH", "ME", "MT", "RI", "DE", "SD", "ND", "AK", "DC", "VT", "WY",
)  # fmt: skip
