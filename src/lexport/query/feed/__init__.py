"""Feed a data warehouse: the rows that bring its copy of a dataset up to date."""

from lexport.query.feed.description import FORMAT as FORMAT
from lexport.query.feed.description import FeedFile as FeedFile
from lexport.query.feed.description import FeedResult as FeedResult
from lexport.query.feed.files import Compression as Compression
from lexport.query.feed.files import Output as Output
from lexport.query.feed.folder import feed as feed
from lexport.query.feed.folder import write_feed as write_feed
from lexport.query.feed.lines import open_lines as open_lines
from lexport.query.feed.lines import write_lines as write_lines
from lexport.query.feed.part import FeedPart as FeedPart
from lexport.query.feed.prepare import Feed as Feed
from lexport.query.feed.prepare import WriteMode as WriteMode
from lexport.query.feed.prepare import open_feed as open_feed
from lexport.query.feed.scopes import FeedScope as FeedScope
