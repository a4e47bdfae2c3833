"""How do people ask about words, lines and sizes of files?

It does not know which calls answer them; a leading `~` keeps a template or an alternative out of training.
"""

# fmt: off
from __future__ import annotations

Moods = dict[str, list[str]]
"""np: a noun phrase, q: a direct question, iq: an indirect one, imp: an order."""

_OF = "(in|of|inside|within|~contained in)"
_LIST_OF = "(in|of|for|across|~throughout)"

_COUNTS: dict[str, Moods] = {
    "": {
        "np": [
            f"[the ](number|count|~tally|amount|total) of WORDS {_OF} <f>", "[the ]WORD count (of|for|in) <f>",
            "<f>'s WORD count", "[the ]WORDS (in|of) <f>", "<f> WORD count", "~<f> in WORDS",
            "the length of <f> in WORDS", "[the ]total [number of ]WORDS (in|of) <f>", "the size of <f> in WORDS",
            "a (WORD count|count of WORDS|count of the WORDS) (of|for|from) <f>", "the WORD (total|number) (of|for|in) <f>",
            "how many WORDS <f>", "~the figure for WORDS in <f>", "number of WORDS, <f>", "WORDS, <f>", "<f>: WORDS",
        ],
        "q": [
            "how many WORDS (are|are there) (in|inside|within) <f>", "how many WORDS does <f> (have|contain|hold|~comprise|include|~boast)",
            "how many WORDS (are found|~are stored|can be found|exist) in <f>", "how long is <f> in WORDS",
            "how many WORDS long is <f>", "(what is|what's) the (WORD count|number of WORDS) (of|in|for) <f>",
            "how many WORDS is <f>", "<f> has how many WORDS", "how many WORDS has <f>[ got]", "how many WORDS in <f>",
            "in <f>, how many WORDS are there", "~what does the WORD count of <f> come to", "how many WORDS did I write in <f>",
            "how many WORDS make up <f>", "~what number of WORDS sits in <f>", "how many WORDS would I find in <f>",
        ],
        "iq": [
            "how many WORDS <f> (has|contains|holds|~comprises)", "how many WORDS (are|there are|we have) in <f>",
            "how long <f> is in WORDS", "what the WORD count of <f> is", "~how many WORDS sit in <f>", "how many WORDS long <f> is",
        ],
        "imp": [
            "count [(all|up|all of|up all)] the WORDS (in|of|inside|from) <f>", "count <f>'s WORDS", "count WORDS in <f>",
            "(do|make|run|give me) a WORD count (of|on|for) <f>", "~tally the WORDS of <f>", "WORD count <f>",
            "open <f> and count (the|its) WORDS", "look (at|into) <f> and (count its WORDS|say how many WORDS it has)",
            "(get|find|determine|work out|check|report) the (number of WORDS|WORD count) (in|of) <f>", "~go through <f> and count its WORDS",
        ],
    },
    "_fan": {
        "np": [
            f"[the ](number|count|~tally) of WORDS {_LIST_OF} <L>", f"[the ]WORD counts {_LIST_OF} <L>", "[the ]WORDS (in|of) <L>",
            "[the ]WORD count of each of <L>", f"[the ]WORD count {_LIST_OF} <L>", "the WORDS in each of <L>", "WORDS, [please, ]<L>",
            "the lengths of <L> in WORDS", "WORDS: <L>", "~the separate WORD counts for <L>", "WORD counts, <L>",
        ],
        "q": [
            "how many WORDS (are|are there) in <L>", "how many WORDS do <L>[ each] (have|contain|hold|~comprise)",
            "how many WORDS are in each of <L>", "how many WORDS does each of <L> (have|contain)", "how long are <L> in WORDS",
            "(what are|what're) the WORD counts (of|for) <L>", "how many WORDS in <L>", "~what numbers of WORDS do <L> have",
            "for each of <L>, how many WORDS are there",
        ],
        "iq": ["how many WORDS <L>[ each] (have|contain|hold)", "how many WORDS (are|there are) in (each of ||)<L>", "how long <L> are in WORDS"],
        "imp": [
            "count [(all|up)] the WORDS (in|of|inside) <L>", "count the WORDS (in|of) each of <L>", "~tally up the WORDS of <L>",
            "list the WORD counts (of|for) <L>", "(do|make|run) WORD counts (of|on|for) <L>", "for <L>, count the WORDS",
            "count WORDS in <L>", "count the WORDS of <L> (separately|one by one|individually|~each on its own)",
        ],
    },
    "_most": {
        "np": [
            "(the one of|whichever of|which of|which one of) <O> (has|with) the most WORDS", "the file with the most WORDS (among|of|out of|from) <O>",
            "the (longest|~wordiest) of <O> (in|by) WORDS", "the longest of <O> by WORD count", "the highest WORD count (among|of|in) <O>",
            "the maximum WORD count (among|of) <O>", "~the winner on WORDS among <O>", "the one with the highest number of WORDS (among|of|in) <O>",
        ],
        "q": [
            "which (|one|file) of <O> has (the most|the highest number of|the greatest number of|more|~the largest number of) WORDS",
            "which (|one|file) has (the most|more|the highest number of) WORDS(,|:| -|) <O>", "which of <O> (contains|holds|~boasts) the most WORDS",
            "which is (the longest|longest|longer) (by|in) (WORDS|WORD count)(,|:| -) <O>", "which of <O> is (the longest|longest|longer) (by WORD count|in WORDS|by number of WORDS)",
            "(among|of|out of|between) <O>, which (one|file|) has (the most|more) WORDS", "what has (more|the most) WORDS(,|:) <O>",
            "~(among|of) <O>, which is the one with the greatest WORD count", "which file is (longest|the longest) (by|in) WORDS(,|:) <O>",
            "<O>: which (one|file|) has the most WORDS", "(what|which) is the longest (by WORD count|in WORDS) of <O>",
        ],
        "iq": ["which (|one|file) of <O> (has|contains) the most WORDS", "which of <O> is (the longest|longest) (in WORDS|by WORD count)"],
        "imp": [
            "(compare|take) <O> (and tell me|and say|:) which (one|) has (more|the most) WORDS", "pick the (one|file) with the most WORDS (from|of|out of) <O>",
            "compare <O>(:|;|, and say|) which has (more|the most) WORDS", "~rank <O> and name the one with most WORDS",
            "find (out|) which of <O> has the most WORDS", "name the longest of <O> by WORDS", "count the WORDS in <O> and tell me which has the most",
        ],
    },
    "_least": {
        "np": [
            "(the one of|whichever of|which of|which one of) <O> (has|with) the (fewest|least) WORDS", "the file with the (fewest|least) WORDS (among|of|out of|from) <O>",
            "the (shortest|~tersest) of <O> (in|by) WORDS", "the shortest of <O> by WORD count", "the lowest WORD count (among|of|in) <O>",
            "the minimum WORD count (among|of) <O>", "the one with the lowest number of WORDS (among|of|in) <O>",
        ],
        "q": [
            "which (|one|file) of <O> has (the fewest|the least|the lowest number of|the smallest number of|fewer|fewest|~the least number of) WORDS",
            "which (|one|file) has (the fewest|fewer|the least|the lowest number of) WORDS(,|:| -|) <O>", "which of <O> (contains|holds) the (fewest|least) WORDS",
            "which is (the shortest|shortest|shorter) (by|in) (WORDS|WORD count)(,|:| -) <O>", "which of <O> is (the shortest|shortest|shorter) (by WORD count|in WORDS|by number of WORDS)",
            "(among|of|out of|between) <O>, which (one|file|) has (the fewest|fewer|the least) WORDS", "what has (fewer|the fewest) WORDS(,|:) <O>",
            "~(among|of) <O>, which is the one with the smallest WORD count", "which file is (shortest|the shortest) (by|in) WORDS(,|:) <O>",
            "<O>: which (one|file|) has the (fewest|least) WORDS", "(what|which) is the shortest (by WORD count|in WORDS) of <O>",
        ],
        "iq": ["which (|one|file) of <O> (has|contains) the (fewest|least) WORDS", "which of <O> is (the shortest|shortest) (in WORDS|by WORD count)"],
        "imp": [
            "(compare|take) <O> (and tell me|and say|:) which (one|) has (fewer|the fewest|the least) WORDS", "pick the (one|file) with the fewest WORDS (from|of|out of) <O>",
            "compare <O>(:|;|, and say|) which has (fewer|the fewest) WORDS", "~rank <O> and name the one with fewest WORDS",
            "find (out|) which of <O> has the (fewest|least) WORDS", "name the shortest of <O> by WORDS", "count the WORDS in <O> and tell me which has the (fewest|least)",
        ],
    },
    "_total": {
        "np": [
            "[the ](total|combined|overall|~joint|summed) (number|count) of WORDS (in|of|for|across) <L>", "[the ](total|combined|overall) WORD count (in|of|for|across) <L>",
            "[the ]sum of the WORD counts of <L>", "[the ]sum of WORDS in <L>", "the total WORDS (in|of|across) <L>", "the WORD count of <L> (together|combined|taken together|in total|put together)",
            "the WORDS of <L> (added up|added together|summed up|together|combined|~lumped together)", "the WORD total (of|for|across) <L>", "all the WORDS of <L> (together|combined)",
        ],
        "q": [
            "how many WORDS (are|are there) in <L> (together|combined|altogether|in total|in all|put together|~when combined)",
            "how many WORDS do <L> (have|contain|hold) (together|combined|altogether|in total|in all|overall)", "(what is|what's) the (total|combined) (WORD count|number of WORDS) (of|in|for) <L>",
            "(together|in total|altogether|combined|in all), how many WORDS (are in <L>|do <L> have)", "how many WORDS in total (are in|do I have in|are there in) <L>", "how many WORDS altogether in <L>",
            "~how many WORDS do <L> add up to", "if I put <L> together, how many WORDS (is that|do I get|are there)",
        ],
        "iq": ["how many WORDS <L> (have|contain|hold) (together|combined|in total|altogether)", "how many WORDS there are in <L> (together|in total|combined)"],
        "imp": [
            "add (up|together) the (WORDS|WORD counts) (in|of) <L>", "sum [up] the (WORDS|WORD counts) (in|of) <L>", "count the WORDS (in|of) <L> and (add them up|sum them|give me the total|total them|add the counts)",
            "total [up] the WORDS (in|of) <L>", "~find what the WORDS in <L> sum to", "count all the WORDS in <L> (together|combined)",
        ],
    },
    "_average": {
        "np": [
            "[the ](average|mean|~typical) (number|count) of WORDS (in|of|for|across) <L>", "[the ](average|mean) WORD count (in|of|for|across) <L>", "the average of the WORD counts of <L>",
            "the average WORDS (in|of|across|per file in) <L>", "the WORDS in <L> on average", "the average length of <L> in WORDS", "the average of WORDS in <L>",
        ],
        "q": [
            "how many WORDS (are|are there) in <L> on average", "how many WORDS do <L> (have|contain|hold) on average", "(what is|what's) the (average|mean) (WORD count|number of WORDS) (of|in|for) <L>",
            "on average, how many WORDS (are in <L>|do <L> have|do <L> contain)", "how many WORDS on average (are in|are there in) <L>", "~what do <L> average in WORDS", "how long are <L> on average in WORDS",
        ],
        "iq": ["how many WORDS <L> (have|contain|hold) on average", "how many WORDS there are in <L> on average", "how many WORDS on average are in <L>"],
        "imp": [
            "average the (WORDS|WORD counts) (in|of) <L>", "count the WORDS (in|of) <L> and (average them|take the average|give me the (average|mean)|take the mean)",
            "(take|compute|find|calculate) the (average|mean) of the WORD counts of <L>", "~take the mean over the WORDS of <L>",
        ],
    },
    "_more": {
        "np": ["whether <f> has more WORDS than <g>", "if <f> (has|contains) more WORDS than <g>", "whether <f> is longer [in WORDS ]than <g>[ in WORDS| by WORD count]"],
        "q": [
            "does <f> (have|contain|hold) more WORDS than <g>[ does]", "are there more WORDS in <f> than in <g>", "is <f> longer than <g> (in|by|counting) WORDS", "is <f> longer in WORDS than <g>",
            "has <f> [got ]more WORDS than <g>", "is the WORD count of <f> (higher|greater|larger|bigger|~above) than (that of|the one of) <g>", "~does <f> beat <g> in WORDS", "is it true that <f> has more WORDS than <g>",
            "does <f> have a (higher|larger|bigger) WORD count than <g>", "is <f>'s WORD count (higher|larger) than <g>'s", "are the WORDS in <f> more than [those ]in <g>",
        ],
        "iq": ["whether <f> has more WORDS than <g>", "if <f> has more WORDS than <g>", "~whether there are more WORDS in <f> than in <g>", "if there are more WORDS in <f> than in <g>"],
        "imp": ["check (whether|if) <f> has more WORDS than <g>", "compare the WORDS of <f> and <g>: does <f> have more", "~verify that <f> has more WORDS than <g>", "find out (if|whether) <f> (has|contains) more WORDS than <g>"],
    },
    "_fewer": {
        "np": ["whether <f> has (fewer|less) WORDS than <g>", "if <f> (has|contains) (fewer|less) WORDS than <g>", "whether <f> is shorter than <g> (in WORDS|by WORD count)"],
        "q": [
            "does <f> (have|contain|hold) (fewer|less) WORDS than <g>[ does]", "are there (fewer|less) WORDS in <f> than in <g>", "is <f> shorter than <g> (in|by|counting) WORDS", "is <f> shorter in WORDS than <g>",
            "has <f> [got ](fewer|less) WORDS than <g>", "is the WORD count of <f> (lower|smaller|less|~below) than (that of|the one of) <g>", "is it true that <f> has fewer WORDS than <g>", "does <f> have a (lower|smaller) WORD count than <g>",
        ],
        "iq": ["whether <f> has (fewer|less) WORDS than <g>", "if <f> has fewer WORDS than <g>", "~whether there are fewer WORDS in <f> than in <g>"],
        "imp": ["check (whether|if) <f> has (fewer|less) WORDS than <g>", "~verify that <f> has fewer WORDS than <g>", "find out (if|whether) <f> has fewer WORDS than <g>"],
    },
    "_more_n": {
        "np": ["whether <f> has more than <n> WORDS", "if <f> (has|contains) more than <n> WORDS", "if <f> is longer than <n> WORDS", "whether <f> is (over|above) <n> WORDS"],
        "q": [
            "does <f> (have|contain|hold) more than <n> WORDS", "are there more than <n> WORDS in <f>", "is <f> longer than <n> WORDS", "is <f> (over|above|more than) <n> WORDS[ long]", "does <f> have (over|above) <n> WORDS",
            "has <f> [got ]more than <n> WORDS", "~does <f> exceed <n> WORDS", "is the WORD count of <f> (above|over|more than|higher than) <n>",
        ],
        "iq": ["whether <f> has (more than|over) <n> WORDS", "if <f> has more than <n> WORDS", "~if there are more than <n> WORDS in <f>"],
        "imp": ["check (whether|if) <f> has (more than|over) <n> WORDS", "~verify that <f> has over <n> WORDS", "find out if <f> has more than <n> WORDS", "count the WORDS in <f> and tell me if (it is|they are|it's) more than <n>"],
    },
}


def _counts(word: str, words: str) -> dict[str, Moods]:
    return {
        words + key: {mood: [t.replace("WORDS", words).replace("WORD", word) for t in texts] for mood, texts in moods.items()}
        for key, moods in _COUNTS.items()
    }


_SIZES: dict[str, Moods] = {
    "size": {
        "np": [
            "[the ](size|file size|~footprint) of <f>", "<f>'s [file ]size", "<f> size", "[the ](number|count|amount) of bytes (in|of) <f>", "[the ]bytes (in|of) <f>", "the size of <f> in bytes",
            "how (big|large|heavy) <f> is", "the size in bytes of <f>", "the disk (space|usage) of <f>", "the (space|room|disk space) <f> (takes|uses|needs|takes up)", "size, <f>", "~the weight of <f> in bytes", "the byte (count|size) of <f>", "<f>: size",
        ],
        "q": [
            "how (big|large|heavy) is [the file ]<f>[ on disk| in bytes]", "how many bytes (are|are there) in <f>", "how many bytes does <f> (have|take|use|need|occupy|take up|~consume)", "(what is|what's) the [file ]size of <f>[ in bytes]",
            "how much (space|room|disk space|disk) does <f> (take|use|need|take up|occupy|~eat up)", "what size (is|does) <f>[ have]", "how many bytes is <f>", "how many bytes long is <f>", "how much does <f> weigh on disk", "~how hefty is <f>", "of what size is <f>",
        ],
        "iq": ["how (big|large|heavy) <f> is[ on disk]", "how many bytes <f> (has|takes|uses|needs|~fills)", "how much [disk ](space|room) <f> (takes|uses|needs|takes up)", "what size <f> (has|is)", "what the size of <f> is"],
        "imp": ["(measure|get|look up|determine|check|report|find|show) the [file ]size of <f>", "count the bytes (in|of) <f>", "~size up <f>", "weigh <f>", "look at <f> and (say|tell me) how (big|large) it is", "check how (big|large) <f> is"],
    },
    "size_fan": {
        "np": ["[the ](sizes|file sizes|size|file size) of <L>", "[the ](number|count) of bytes in each of <L>", "[the ]size of each of <L>", "the bytes (in|of) <L>", "how (big|large) <L> are", "the sizes of <L> in bytes", "sizes: <L>", "sizes, <L>", "~the individual sizes for <L>"],
        "q": ["how (big|large|heavy) are <L>", "how (big|large) is each of <L>", "how many bytes do <L> (have|take|use|need)", "(what are|what're) the [file ]sizes of <L>", "how much space do <L> [each ](take|use|need)", "~what sizes do <L> have", "how many bytes are in <L>"],
        "iq": ["how (big|large) <L> are", "how many bytes <L> (have|take|use)", "how much space <L> [each ](take|use|need)"],
        "imp": ["(measure|get|list|check|report) the [file ]sizes of <L>", "count the bytes of <L>", "check how (big|large) <L> are", "~size up <L>"],
    },
    "size_most": {
        "np": ["the (biggest|largest|heaviest) (of|among|out of) <O>", "the (one|file) with the most bytes (of|among) <O>", "which of <O> is (the biggest|the largest|biggest|largest)", "the (biggest|largest) file (of|among|out of) <O>", "the maximum size (of|among) <O>", "~the bulkiest of <O>"],
        "q": [
            "which (|one|file) of <O> is (the biggest|the largest|biggest|largest|bigger|larger|the heaviest|~the bulkiest)", "which (one|file|) is (the biggest|the largest|bigger|larger|biggest|largest|heavier)(,|:| -) <O>", "(what|which) is the (biggest|largest|heaviest) (file |)(of|among) <O>",
            "which of <O> (takes|uses|needs|takes up|~eats) the most (space|disk space|room|bytes)", "which of <O> has the most bytes", "(among|of|out of|between) <O>, which (one|file|) is (the biggest|the largest|biggest|largest|bigger)", "which of <O> (weighs|is heaviest|weighs the most)( on disk|)", "<O>: which is (biggest|largest|bigger)",
            "which (weighs|takes) (the |)most on disk(,|:) <O>",
        ],
        "iq": ["which (|one|file) of <O> is (the biggest|the largest|largest|biggest)", "which of <O> (takes|uses) the most (space|bytes)"],
        "imp": ["compare <O> (and tell me|and say|:) which is (bigger|the biggest|larger|the largest)", "pick the (biggest|largest) (from|of|out of) <O>", "find (out which is |)the (biggest|largest) of <O>", "~rank <O> by size and name the top one", "compare the sizes of <O>(:|;|, and say) which is (largest|biggest)", "name the (largest|biggest) of <O>"],
    },
    "size_least": {
        "np": ["the (smallest|lightest) (of|among|out of) <O>", "the (one|file) with the (fewest|least) bytes (of|among) <O>", "which of <O> is (the smallest|smallest)", "the smallest file (of|among|out of) <O>", "the minimum size (of|among) <O>", "~the tiniest of <O>"],
        "q": [
            "which (|one|file) of <O> is (the smallest|smallest|smaller|the lightest|~the tiniest)", "which (one|file|) is (the smallest|smaller|smallest|lighter)(,|:| -) <O>", "(what|which) is the (smallest|lightest) (file |)(of|among) <O>",
            "which of <O> (takes|uses|needs|takes up) the least (space|disk space|room)", "which of <O> has the (fewest|least) bytes", "(among|of|out of|between) <O>, which (one|file|) is (the smallest|smallest|smaller)", "which of <O> (is lightest|weighs the least)( on disk|)", "<O>: which is (smallest|smaller)",
            "which (weighs|takes) (the |)least on disk(,|:) <O>",
        ],
        "iq": ["which (|one|file) of <O> is (the smallest|smallest)", "which of <O> (takes|uses) the least space"],
        "imp": ["compare <O> (and tell me|and say|:) which is (smaller|the smallest)", "pick the smallest (from|of|out of) <O>", "find (out which is |)the smallest of <O>", "~rank <O> by size and name the last one", "compare the sizes of <O>(:|;|, and say) which is smallest", "name the smallest of <O>"],
    },
    "size_total": {
        "np": ["[the ](total|combined|overall|summed) [file ]size of <L>", "[the ]sum of the [file ]sizes of <L>", "[the ](total|combined) (number|count) of bytes (in|of) <L>", "the size of <L> (together|combined|in total|taken together|put together)", "the sizes of <L> (added up|added together|summed|~lumped together)", "the total bytes (in|of) <L>"],
        "q": ["how (big|large) are <L> (together|combined|in total|altogether|taken together)", "how many bytes (do <L> have|do <L> take|are in <L>) (together|combined|in total|altogether|in all)", "(what is|what's) the (total|combined|overall) [file ]size of <L>", "how much space do <L> (take|use|need|occupy) (together|in total|altogether|combined|in all)", "(together|in total|altogether|combined), how (big|large) are <L>", "~what do <L> weigh altogether"],
        "iq": ["how (big|large) <L> are (together|combined|in total)", "how much space <L> (take|use|need) (together|in total|altogether)"],
        "imp": ["add (up|together) the [file ]sizes of <L>", "sum [up] the [file ]sizes of <L>", "total [up] the [file ]sizes of <L>", "(measure|get) the sizes of <L> and (add them up|sum them|total them)", "~find what the sizes of <L> sum to"],
    },
    "size_average": {
        "np": ["[the ](average|mean|~typical) [file ]size of <L>", "[the ]average of the [file ]sizes of <L>", "[the ](average|mean) number of bytes (in|of) <L>", "the size of <L> on average"],
        "q": ["how (big|large) are <L> on average", "(what is|what's) the (average|mean) [file ]size of <L>", "on average, how (big|large) are <L>", "how many bytes do <L> (have|take) on average", "~what do <L> average in bytes"],
        "iq": ["how (big|large) <L> are on average", "how many bytes <L> (have|take) on average"],
        "imp": ["average the [file ]sizes of <L>", "(get|measure) the sizes of <L> and (average them|take the average|take the mean)", "(take|compute|find|calculate) the (average|mean) [file ]size of <L>"],
    },
    "size_more": {
        "np": ["whether <f> is (bigger|larger|heavier) than <g>", "if <f> is (bigger|larger) than <g>"],
        "q": ["is <f> (bigger|larger|heavier) than <g>[ is]", "does <f> (take|use|need|take up|occupy) more (space|disk space|room|bytes) than <g>", "is the [file ]size of <f> (bigger|larger|greater|~above) than (that of|the size of) <g>", "does <f> have more bytes than <g>", "is it true that <f> is (bigger|larger) than <g>", "~does <f> outweigh <g>", "are there more bytes in <f> than in <g>", "does <f> weigh more than <g>"],
        "iq": ["whether <f> is (bigger|larger) than <g>", "if <f> is (bigger|larger) than <g>", "~if <f> takes more space than <g>"],
        "imp": ["check (whether|if) <f> is (bigger|larger) than <g>", "compare the sizes of <f> and <g>: is <f> (bigger|larger)", "find out (if|whether) <f> is (bigger|larger) than <g>", "~verify that <f> is bigger than <g>"],
    },
    "size_fewer": {
        "np": ["whether <f> is (smaller|lighter) than <g>", "if <f> is smaller than <g>"],
        "q": ["is <f> (smaller|lighter) than <g>[ is]", "does <f> (take|use|need|take up) less (space|disk space|room) than <g>", "is the [file ]size of <f> (smaller|less|~below) than (that of|the size of) <g>", "does <f> have fewer bytes than <g>", "is it true that <f> is smaller than <g>", "does <f> weigh less than <g>"],
        "iq": ["whether <f> is smaller than <g>", "if <f> is smaller than <g>", "~if <f> takes less space than <g>"],
        "imp": ["check (whether|if) <f> is smaller than <g>", "find out (if|whether) <f> is smaller than <g>", "~verify that <f> is smaller than <g>"],
    },
    "size_more_n": {
        "np": ["whether <f> is (bigger|larger) than <n> bytes", "if <f> is (bigger|larger|more) than <n> bytes"],
        "q": ["is <f> (bigger|larger|more|heavier) than <n> bytes", "does <f> (have|take|use|need|take up) more than <n> bytes", "are there more than <n> bytes in <f>", "is <f> (over|above) <n> bytes", "~does <f> exceed <n> bytes", "is the size of <f> (above|over|more than|greater than) <n> bytes"],
        "iq": ["whether <f> is (bigger|larger) than <n> bytes", "if <f> is (over|above) <n> bytes"],
        "imp": ["check (whether|if) <f> is (bigger|larger) than <n> bytes", "~verify that <f> is over <n> bytes", "find out if <f> (is bigger than|has more than) <n> bytes"],
    },
}

_CHAINS: dict[str, Moods] = {
    "pages": {
        "np": ["[the ]number of pages of <n> words (in|of|for|that make up) <f>", "[the ]pages (of|in|for) <f> at <n> words (a|per|each) page", "the page count of <f> (at|with|for) <n> words (per|a) page", "the word count of <f> divided by <n>", "the words (of|in) <f> divided by <n>", "the length of <f> in pages of <n> words", "~the pages <f> makes with <n> words on each"],
        "q": [
            "how many pages of <n> words (would|does|will|can) <f> (fill|make|have|take|need|~cover)", "if (a|one|each|every) page (holds|has|contains|takes|fits|is) <n> words, how many pages (is <f>|does <f> have|does <f> fill|are in <f>|would <f> be|does <f> need)",
            "how many pages (is|has|does) <f> [have ](at|with) <n> words (per|a|to a|to the|on each) page", "at <n> words (a|per) page, how many pages (is|does|would) <f>( be| fill| take| have|)", "how many (<n>-word|<n> word) pages (is <f>|does <f> fill|are there in <f>)", "with <n> words (per|on a|on each) page, how (many pages|long) is <f>", "~assuming <n> words on a page, how many pages will <f> need",
            "(what is|what's) the (word count|number of words) (of|in) <f> divided by <n>",
        ],
        "iq": ["how many pages <f> (has|fills|needs|is|makes) (at|with) <n> words (a|per) page", "how many pages of <n> words <f> (fills|makes|has|needs)"],
        "imp": ["divide the (word count|number of words|words) (of|in) <f> by <n>", "count the words (in|of) <f> and divide (by|them by|that by|the count by|the result by) <n>", "count the pages of <f> (with|at) <n> words (a|per) page", "work out the pages of <f> at <n> words (a|per) page", "~split the words of <f> into pages of <n>"],
    },
    "minutes": {
        "np": ["[the ](reading|speaking) time (of|for) <f> at <n> words (a|per) minute", "the (time|minutes) to read <f> at <n> words (a|per) minute", "the minutes (needed for|to read|for reading) <f> at <n> words (a|per) minute"],
        "q": ["how (long|many minutes) (does it take|will it take|would it take|do I need) to (read|speak|present|~recite) <f> at <n> words (a|per) minute", "(reading|speaking) <n> words (a|per) minute, how (long|many minutes) does <f> take", "if I (read|speak|type) <n> words (a|per) minute, how (long|many minutes) (does <f> take|will <f> take|is <f>)", "at <n> words (a|per) minute, how (long|many minutes) (does <f> take|is <f>)", "~how many minutes of reading is <f> at <n> words per minute"],
        "iq": ["how (long|many minutes) <f> takes at <n> words (a|per) minute", "how long it takes to read <f> at <n> words (a|per) minute"],
        "imp": ["work out the reading time of <f> at <n> words (a|per) minute", "~time <f> at <n> words a minute"],
    },
    "per_line": {
        "np": ["[the ](number of |average number of |)words per line (in|of|for) <f>", "the average words per line (in|of) <f>", "the words of <f> divided by its lines", "the word count of <f> divided by its line count", "~the ratio of words to lines in <f>"],
        "q": ["how many words (per|a) line (does <f> have|are in <f>|are there in <f>|has <f>)", "how many words are [there ](on|in) (a|each|an average) line of <f>[ on average]", "on average, how many words (per line does <f> have|does a line of <f> have|are on a line of <f>)", "~how many words go on a line in <f>"],
        "iq": ["how many words per line <f> (has|contains)", "how many words (are|there are) on a line of <f>"],
        "imp": ["divide the words (of|in) <f> by its lines", "divide the word count of <f> by its line count", "count the words and lines (of|in) <f> and divide them", "~work words per line out for <f>"],
    },
    "size_in": {
        "np": ["[the ][file ]size of <f> in <U>", "<f>'s size in <U>", "how (big|large) <f> is in <U>", "the size of <f> (converted|~changed) (to|into) <U>", "<f> in <U>", "the number of <U> in <f>"],
        "q": ["how (big|large) is <f> in <U>", "how many <U> (is|does) <f>( have| take|)", "(what is|what's) the [file ]size of <f> in <U>", "how many <U> (are in <f>|does <f> take up|does <f> need)", "~of how many <U> is <f>"],
        "iq": ["how (big|large) <f> is in <U>", "how many <U> <f> (has|takes|is)"],
        "imp": ["(get|measure|give) the size of <f> in <U>", "convert the size of <f> (to|into) <U>", "~state the size of <f> in <U>", "measure <f> and convert (that|it|the size|the result) (to|into) <U>"],
    },
    "words_lines": {
        "np": ["[the ](number of |)words and lines (in|of) <f>", "the word and line counts (of|for) <f>", "[the ]word count and line count of <f>", "both the words and the lines of <f>", "the number of words and [of ]lines (in|of) <f>"],
        "q": ["how many words and lines (are|are there) in <f>", "how many words and [how many ]lines does <f> (have|contain)", "what are the word and line counts of <f>", "how many words are in <f> and how many lines"],
        "iq": ["how many words and lines <f> has", "how many words and how many lines are in <f>"],
        "imp": ["count the words and [the ]lines (in|of) <f>", "count both words and lines of <f>", "~tally words and lines of <f>"],
    },
}

FILE_PHRASINGS: dict[str, Moods] = {**_counts("word", "words"), **_counts("line", "lines"), **_SIZES, **_CHAINS}
