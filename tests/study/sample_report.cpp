// Writes reports of synthetic studies, for tests/judges/report_browser.py:
//   study_sample_report FOLDER VEGA_BUNDLE [KIND]
// KIND: full (the default), search (full without its final and timing runs),
// grid, single, published-1: one report; sizes, ladder, published-2: an
// overview and the report of each case.
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>

#include "muonlab/study/overview.h"
#include "muonlab/study/report.h"
#include "tests/study/sample_cases.h"

namespace {

namespace study = muonlab::study;
namespace samples = muonlab::study::testing;

study::Results search_alone() {
  study::Results results = samples::sample_results();
  for (study::Cell& cell : results.cells) {
    if (cell.phase != "search") samples::set_queued(cell);
  }
  return results;
}

int write(const std::filesystem::path& folder,
          const std::filesystem::path& bundle, const std::string& kind) {
  const std::map<std::string, study::Results (*)()> single = {
      {"full", samples::rich_results},
      {"search", search_alone},
      {"grid", [] { return samples::grid_results(true); }},
      {"single", samples::search_only_results},
      {"published-1", samples::published_one_results}};
  const std::map<std::string, study::StudyResults (*)()> several = {
      {"sizes", samples::sample_sizes},
      {"ladder", samples::sample_ladder},
      {"published-2", samples::published_two_results}};
  if (const auto found = single.find(kind); found != single.end()) {
    const auto files = study::write_report(found->second(), folder, bundle);
    std::cout << files.html.string() << "\n";
    return 0;
  }
  const auto found = several.find(kind);
  if (found == several.end()) {
    std::cerr << "study_sample_report: no kind '" << kind << "'\n";
    return 2;
  }
  const study::StudyResults results = found->second();
  for (const study::Results& one : results.cases) {
    (void)study::write_report(one, folder / one.setup.case_name, bundle);
  }
  const auto files = study::write_overview(results, folder, bundle);
  std::cout << files.html.string() << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: study_sample_report FOLDER VEGA_BUNDLE [KIND]\n";
    return 2;
  }
  try {
    return write(argv[1], argv[2], argc > 3 ? argv[3] : "full");
  } catch (const std::exception& error) {
    std::cerr << "study_sample_report: " << error.what() << "\n";
    return 1;
  }
}
