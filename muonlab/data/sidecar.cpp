// dataset.json: writing, reading, and the hash that identifies a dataset.
#include <string_view>
#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/hash.h"
#include "muonlab/data/dataset.h"
#include "muonlab/data/window_split.h"
#include "muonlab/formats/json.h"

namespace muonlab::data {

namespace {

using formats::Json;

// Takes fields out of JSON objects; every complaint names file and field.
class Fields {
 public:
  Fields(const Json& object, std::filesystem::path file, std::string prefix)
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {
    if (!object_.is_object()) {
      fail(prefix_, concat("got ", object_.type_name(), ", expected object"));
    }
  }

  [[nodiscard]] std::string text(const char* name) const {
    const Json& value = get(name);
    if (!value.is_string()) wrong_type(name, value, "string");
    return value.get<std::string>();
  }

  [[nodiscard]] std::int64_t count(const char* name) const {
    const Json& value = get(name);
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0) {
      wrong_type(name, value, "a count");
    }
    return value.get<std::int64_t>();
  }

  [[nodiscard]] bool flag(const char* name) const {
    const Json& value = get(name);
    if (!value.is_boolean()) wrong_type(name, value, "true or false");
    return value.get<bool>();
  }

  [[nodiscard]] bool has(const char* name) const {
    return object_.contains(name);
  }

  [[nodiscard]] const Json& list(const char* name) const {
    const Json& value = get(name);
    if (!value.is_array()) wrong_type(name, value, "array");
    return value;
  }

  [[nodiscard]] Fields object(const char* name) const {
    return {get(name), file_, prefix_ + name + "."};
  }

  [[nodiscard]] Fields element(const Json& value, const char* name) const {
    return {value, file_, prefix_ + name + "[]."};
  }

  [[noreturn]] void fail(std::string_view field,
                         const std::string& what) const {
    throw Error(ErrorKind::kCorruptData,
                concat(file_.string(), ": field '", field, "': ", what),
                "prepare the data again with `muonlab data prepare CORPUS "
                "--out DIR --force`");
  }

 private:
  [[nodiscard]] const Json& get(const char* name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) fail(prefix_ + name, "is missing");
    return *found;
  }

  [[noreturn]] void wrong_type(const char* name, const Json& value,
                               const char* expected) const {
    fail(prefix_ + name, concat("got ", value.dump(), ", expected ", expected));
  }

  const Json& object_;
  std::filesystem::path file_;
  std::string prefix_;
};

Json to_json_value(const SplitInfo& split) {
  Json shards = Json::array();
  for (const ShardInfo& shard : split.shards) {
    shards.push_back({{"file", shard.file},
                      {"n_tokens", shard.n_tokens},
                      {"sha256", shard.sha256}});
  }
  return {{"n_tokens", split.n_tokens},
          {"n_documents", split.n_documents},
          {"bytes", split.bytes},
          {"shards", std::move(shards)}};
}

SplitInfo split_from(const Fields& fields) {
  SplitInfo split;
  split.n_tokens = fields.count("n_tokens");
  split.n_documents = fields.count("n_documents");
  split.bytes = fields.count("bytes");
  for (const Json& value : fields.list("shards")) {
    const Fields shard = fields.element(value, "shards");
    split.shards.push_back(
        {shard.text("file"), shard.count("n_tokens"), shard.text("sha256")});
    // A name that leads out of the folder is no name of ours.
    if (split.shards.back().file.find('/') != std::string::npos) {
      shard.fail("file", concat("got '", split.shards.back().file,
                                "', expected a name inside the folder"));
    }
  }
  return split;
}

Json to_json_value(const Cut& cut) {
  return {{"separators", cut.separators},
          {"documents", cut.documents},
          {"characters", cut.characters},
          {"tokens", cut.tokens},
          {"dropped_documents", cut.dropped_documents},
          {"dropped_characters", cut.dropped_characters},
          {"dropped_tokens", cut.dropped_tokens}};
}

Cut cut_from(const Fields& fields) {
  return {.separators = fields.flag("separators"),
          .documents = fields.count("documents"),
          .characters = fields.count("characters"),
          .tokens = fields.count("tokens"),
          .dropped_documents = fields.count("dropped_documents"),
          .dropped_characters = fields.count("dropped_characters"),
          .dropped_tokens = fields.count("dropped_tokens")};
}

// Every split has tokens, or the first alone where windows are split.
void check_emptiness(const DatasetInfo& info, const Fields& fields) {
  if (info.split_by_windows()) {
    try {
      (void)WindowRule::parse(info.split_rule);
    } catch (const Error& error) {
      fields.fail("split_rule", error.what());
    }
  }
  for (const Split which : kSplits) {
    const bool expected = which != Split::kTrain && info.split_by_windows();
    const std::int64_t n_tokens = info.split(which).n_tokens;
    if ((n_tokens == 0) == expected) continue;
    fields.fail(
        concat("splits.", name_of(which), ".n_tokens"),
        concat("got ", n_tokens, ", expected ", expected ? "0" : "1 or more",
               " under the split rule '", info.split_rule, "'"));
  }
}

}  // namespace

bool Cut::same_settings(const Cut& other) const {
  return separators == other.separators && documents == other.documents &&
         characters == other.characters && tokens == other.tokens;
}

bool DatasetInfo::split_by_windows() const {
  return split_rule.starts_with(WindowRule::kPrefix);
}

std::string dataset_hash(const DatasetInfo& info) {
  core::Sha256 hash;
  hash.update(concat("muonlab-dataset-v1\n", info.tokenizer_hash, "\n",
                     info.vocabulary, "\n", info.split_rule, "\n"));
  for (const Split which : kSplits) {
    const SplitInfo& split = info.split(which);
    hash.update(concat(name_of(which), " ", split.n_tokens, " ",
                       split.n_documents, " ", split.bytes, "\n"));
    for (const ShardInfo& shard : split.shards) {
      hash.update(concat(shard.n_tokens, " ", shard.sha256, "\n"));
    }
  }
  return hash.hex();
}

std::string to_json(const DatasetInfo& info) {
  Json splits = Json::object();
  for (const Split which : kSplits) {
    splits[std::string(name_of(which))] = to_json_value(info.split(which));
  }
  Json sidecar = {
      {"schema", info.schema},
      {"hash", info.hash},
      {"corpus", {{"name", info.corpus_name}, {"hash", info.corpus_hash}}},
      {"tokenizer",
       {{"kind", info.tokenizer_kind},
        {"hash", info.tokenizer_hash},
        {"vocabulary", info.vocabulary}}},
      {"split_rule", info.split_rule},
      {"splits", std::move(splits)},
      {"empty_documents", info.empty_documents},
      {"invalid_utf8_documents", info.invalid_utf8_documents},
      {"duplicate_documents", info.duplicate_documents}};
  // Only where there is something to say: most datasets are whole corpora.
  if (info.tokenizer_from_file) sidecar["tokenizer"]["from_file"] = true;
  if (info.cut != Cut()) sidecar["cut"] = to_json_value(info.cut);
  // A corpus folder may have any bytes in its name.
  return sidecar.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

DatasetInfo read_sidecar(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / kSidecarName)) {
    throw Error(ErrorKind::kIo,
                concat(folder.string(),
                       ": is not a prepared dataset: it has no ", kSidecarName),
                concat("make one with `muonlab data prepare CORPUS --out ",
                       folder.string(), "`, or give another folder"));
  }
  const std::filesystem::path path = folder / kSidecarName;
  const Json json = formats::read_json(path);
  const Fields fields(json, path, "");
  DatasetInfo info;
  info.schema = static_cast<int>(fields.count("schema"));
  if (info.schema != kDatasetSchema) {
    fields.fail("schema",
                concat("got ", info.schema, ", expected ", kDatasetSchema));
  }
  info.hash = fields.text("hash");
  info.corpus_name = fields.object("corpus").text("name");
  info.corpus_hash = fields.object("corpus").text("hash");
  const Fields tokenizer = fields.object("tokenizer");
  info.tokenizer_kind = tokenizer.text("kind");
  info.tokenizer_hash = tokenizer.text("hash");
  info.vocabulary = tokenizer.count("vocabulary");
  info.tokenizer_from_file =
      tokenizer.has("from_file") && tokenizer.flag("from_file");
  info.split_rule = fields.text("split_rule");
  if (fields.has("cut")) info.cut = cut_from(fields.object("cut"));
  const Fields splits = fields.object("splits");
  for (const Split which : kSplits) {
    info.split(which) =
        split_from(splits.object(std::string(name_of(which)).c_str()));
  }
  info.empty_documents = fields.count("empty_documents");
  info.invalid_utf8_documents = fields.count("invalid_utf8_documents");
  info.duplicate_documents = fields.count("duplicate_documents");
  check_emptiness(info, fields);
  const std::string expected = dataset_hash(info);
  if (info.hash != expected) {
    fields.fail("hash", concat("does not fit the other fields: got ", info.hash,
                               ", expected ", expected));
  }
  return info;
}

}  // namespace muonlab::data
