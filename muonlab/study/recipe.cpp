#include "muonlab/study/recipe.h"

#include <filesystem>
#include <string_view>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/data/bpe_tokenizer.h"
#include "muonlab/data/corpus.h"
#include "muonlab/data/prepare.h"

namespace muonlab::study {

namespace {

namespace fs = std::filesystem;

// Whole held-out documents must not shape the tokenizer, so `prepare` trains it
// on the others. Windows of the training text hold nothing back, and cut
// documents have too few different pairs for a large vocabulary: there all of
// the corpus is read.
bool is_trained_apart(const DataRecipe& recipe) {
  return recipe.tokenizer == "bpe" &&
         (recipe.split == "windows" || recipe.documents > 0 ||
          recipe.characters > 0);
}

fs::path tokenizer_path(const std::string& path) {
  return path + ".tokenizer.json";
}

fs::path trained_tokenizer(const DataRecipe& recipe, const std::string& path,
                           const std::function<void(const std::string&)>& say) {
  const fs::path file = tokenizer_path(path);
  if (fs::exists(file)) return file;
  if (say) {
    say(concat("training a tokenizer of ", recipe.vocabulary, " tokens on ",
               recipe.corpus));
  }
  const data::Corpus corpus = data::read_documents(recipe.corpus);
  std::vector<std::string_view> texts;
  for (const data::Document& document : corpus.documents) {
    texts.emplace_back(document.text);
  }
  data::BpeTokenizer(data::train_bpe(texts, recipe.vocabulary)).save(file);
  return file;
}

}  // namespace

void ensure_dataset(const StudyPlan& plan,
                    const std::function<void(const std::string&)>& say) {
  const std::string& path = plan.base.data_path;
  if (!plan.recipe || fs::exists(fs::path(path) / data::kSidecarName)) return;
  const DataRecipe& recipe = *plan.recipe;
  if (say) say(concat("making the dataset: ", recipe_command(recipe, path)));
  data::PrepareOptions options;
  options.corpus = recipe.corpus;
  options.out = path;
  options.tokenizer = data::TokenizerKind::kFile;
  if (is_trained_apart(recipe)) {
    options.tokenizer_file = trained_tokenizer(recipe, path, say);
  } else if (recipe.tokenizer == "bpe") {
    options.tokenizer = data::TokenizerKind::kBpe;
    options.vocabulary = recipe.vocabulary;
  } else if (recipe.tokenizer == "bytes") {
    options.tokenizer = data::TokenizerKind::kBytes;
  } else {
    options.tokenizer_file = recipe.tokenizer;
    if (!fs::exists(options.tokenizer_file)) {
      throw Error(ErrorKind::kIo,
                  concat(plan.path.string(), ": study.data.tokenizer: no file ",
                         recipe.tokenizer),
                  "scripts/setup --smollm fetches SmolLM's tokenizer; another "
                  "one is a tokenizer.json or a .gguf file");
    }
  }
  options.split = recipe.split == "windows" ? data::SplitBy::kWindows
                                            : data::SplitBy::kDocuments;
  options.held_out = recipe.held_out;
  options.documents = recipe.documents;
  options.characters = recipe.characters;
  options.tokens = recipe.tokens;
  options.separators = recipe.separator;
  const data::DatasetInfo info = data::prepare(options).info;
  if (!say) return;
  const std::int64_t tokens = info.split(data::Split::kTrain).n_tokens;
  say(concat("made ", path, ": ", core::grouped(tokens), " training tokens"));
  if (recipe.tokens > tokens) {
    say(concat("note: the plan asks for ", core::grouped(recipe.tokens),
               " tokens, the corpus gave ", core::grouped(tokens)));
  }
}

std::string recipe_command(const DataRecipe& recipe, const std::string& path) {
  std::string command = concat(
      "muonlab data prepare ", recipe.corpus, " --out ", path, " --tokenizer ",
      is_trained_apart(recipe) ? tokenizer_path(path).string()
                               : recipe.tokenizer,
      " --split ", recipe.split, " --held-out ",
      core::shortest(recipe.held_out));
  const auto add = [&](const char* option, std::int64_t value) {
    if (value > 0) command += concat(" ", option, " ", value);
  };
  add("--documents", recipe.documents);
  add("--characters", recipe.characters);
  add("--tokens", recipe.tokens);
  if (!recipe.separator) command += " --no-separator";
  if (recipe.tokenizer == "bpe" && !is_trained_apart(recipe)) {
    add("--vocabulary", recipe.vocabulary);
  }
  if (is_trained_apart(recipe)) {
    command = concat("muonlab tokenizer train ", recipe.corpus,
                     " --vocabulary ", recipe.vocabulary, " --out ",
                     tokenizer_path(path).string(), " && ", command);
  }
  return command;
}

}  // namespace muonlab::study
