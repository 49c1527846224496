// Writes the report of the synthetic study, for tests/judges/report_browser.py:
//   study_sample_report FOLDER VEGA_BUNDLE [search]
// "search" leaves the final and timing runs out.
#include <exception>
#include <iostream>
#include <string>

#include "muonlab/study/report.h"
#include "tests/study/sample_results.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: study_sample_report FOLDER VEGA_BUNDLE [search]\n";
    return 2;
  }
  try {
    auto results = muonlab::study::testing::sample_results();
    if (argc > 3 && std::string(argv[3]) == "search") {
      for (auto& cell : results.cells) {
        if (cell.phase != "search") muonlab::study::testing::set_queued(cell);
      }
    }
    const auto files = muonlab::study::write_report(results, argv[1], argv[2]);
    std::cout << files.html.string() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "study_sample_report: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
