// The numbers of DWARF (versions 2 to 5, sections 7.5 and 7.22 of the standard) that are used here.

export const tag = {
  compileUnit: 0x11,
  inlinedSubroutine: 0x1d,
  subprogram: 0x2e,
  partialUnit: 0x3c,
  skeletonUnit: 0x4a,
} as const;

export const attribute = {
  name: 0x03,
  statementList: 0x10,
  lowPc: 0x11,
  highPc: 0x12,
  compilationFolder: 0x1b,
  abstractOrigin: 0x31,
  specification: 0x47,
  ranges: 0x55,
  callColumn: 0x57,
  callFile: 0x58,
  callLine: 0x59,
  linkageName: 0x6e,
  stringOffsetsBase: 0x72,
  addressBase: 0x73,
  rangeListsBase: 0x74,
  dwoName: 0x76,
  mipsLinkageName: 0x2007,
  gnuDwoName: 0x2130,
} as const;

export const form = {
  address: 0x01,
  block2: 0x03,
  block4: 0x04,
  data2: 0x05,
  data4: 0x06,
  data8: 0x07,
  string: 0x08,
  block: 0x09,
  block1: 0x0a,
  data1: 0x0b,
  flag: 0x0c,
  signedData: 0x0d,
  stringOffset: 0x0e,
  unsignedData: 0x0f,
  referenceAddress: 0x10,
  reference1: 0x11,
  reference2: 0x12,
  reference4: 0x13,
  reference8: 0x14,
  referenceUnsigned: 0x15,
  indirect: 0x16,
  sectionOffset: 0x17,
  expression: 0x18,
  flagPresent: 0x19,
  stringIndex: 0x1a,
  addressIndex: 0x1b,
  referenceSupplementary4: 0x1c,
  stringSupplementary: 0x1d,
  data16: 0x1e,
  lineStringOffset: 0x1f,
  referenceSignature8: 0x20,
  implicitConstant: 0x21,
  locationListIndex: 0x22,
  rangeListIndex: 0x23,
  referenceSupplementary8: 0x24,
  stringIndex1: 0x25,
  stringIndex2: 0x26,
  stringIndex3: 0x27,
  stringIndex4: 0x28,
  addressIndex1: 0x29,
  addressIndex2: 0x2a,
  addressIndex3: 0x2b,
  addressIndex4: 0x2c,
  gnuAddressIndex: 0x1f01,
  gnuStringIndex: 0x1f02,
  gnuReferenceAlternative: 0x1f20,
  gnuStringAlternative: 0x1f21,
} as const;

export const unitType = {
  compile: 1,
  type: 2,
  partial: 3,
  skeleton: 4,
  splitCompile: 5,
  splitType: 6,
} as const;

/** Entries of a range list of version 5. */
export const rangeEntry = {
  endOfList: 0,
  baseAddressIndex: 1,
  startEndIndex: 2,
  startLengthIndex: 3,
  offsetPair: 4,
  baseAddress: 5,
  startEnd: 6,
  startLength: 7,
} as const;

export const lineOp = {
  extended: 0,
  copy: 1,
  advancePc: 2,
  advanceLine: 3,
  setFile: 4,
  setColumn: 5,
  negateStatement: 6,
  setBasicBlock: 7,
  constantAddPc: 8,
  fixedAdvancePc: 9,
  setPrologueEnd: 10,
  setEpilogueBegin: 11,
  setIsa: 12,
} as const;

export const extendedLineOp = { endSequence: 1, setAddress: 2, defineFile: 3, setDiscriminator: 4 } as const;

/** Contents of an entry in the lists of folders and files of version 5. */
export const lineContent = { path: 1, folderIndex: 2 } as const;
