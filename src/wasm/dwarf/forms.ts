/** Values of attributes: how long each form is, and the number that it stands for. */
import { DecodeError } from "../../errors.js";
import type { Cursor } from "./byte-source.js";
import { form } from "./constants.js";

/** What the length of some forms depends on. */
export interface Encoding {
  version: number;
  /** Bytes of an address. */
  addressSize: number;
  /** Bytes of an offset: 4, or 8 in the 64-bit format. */
  offsetSize: number;
}

/** Bytes that a form takes, -1 where that depends on the value. */
export function formSize(code: number, { version, addressSize, offsetSize }: Encoding): number {
  switch (code) {
    case form.flagPresent:
    case form.implicitConstant:
      return 0;
    case form.data1:
    case form.flag:
    case form.reference1:
    case form.stringIndex1:
    case form.addressIndex1:
      return 1;
    case form.data2:
    case form.reference2:
    case form.stringIndex2:
    case form.addressIndex2:
      return 2;
    case form.stringIndex3:
    case form.addressIndex3:
      return 3;
    case form.data4:
    case form.reference4:
    case form.referenceSupplementary4:
    case form.stringIndex4:
    case form.addressIndex4:
      return 4;
    case form.data8:
    case form.reference8:
    case form.referenceSignature8:
    case form.referenceSupplementary8:
      return 8;
    case form.data16:
      return 16;
    case form.address:
      return addressSize;
    case form.referenceAddress:
      return version <= 2 ? addressSize : offsetSize;
    case form.stringOffset:
    case form.lineStringOffset:
    case form.sectionOffset:
    case form.stringSupplementary:
    case form.gnuReferenceAlternative:
    case form.gnuStringAlternative:
      return offsetSize;
    default:
      return -1;
  }
}

/** A value as a number, with the form that says what it means. */
export interface FormValue {
  form: number;
  /** Of a text that lies in place its offset in the section; of blocks 0. */
  value: number;
}

/**
 * Reads the value of a form, or passes over it.
 * @param implicit the value of an implicit constant
 * @throws DecodeError for a form that does not exist
 */
export function readForm(cursor: Cursor, code: number, encoding: Encoding, implicit = 0): FormValue {
  switch (code) {
    case form.flagPresent:
      return { form: code, value: 1 };
    case form.implicitConstant:
      return { form: code, value: implicit };
    case form.string: {
      const value = cursor.offset;
      cursor.skipText();
      return { form: code, value };
    }
    case form.signedData:
      return { form: code, value: cursor.sleb() };
    case form.unsignedData:
    case form.referenceUnsigned:
    case form.stringIndex:
    case form.addressIndex:
    case form.locationListIndex:
    case form.rangeListIndex:
    case form.gnuAddressIndex:
    case form.gnuStringIndex:
      return { form: code, value: cursor.uleb() };
    case form.stringIndex3:
    case form.addressIndex3:
      return { form: code, value: cursor.u24() };
    case form.block1:
      return skipBlock(cursor, code, cursor.u8());
    case form.block2:
      return skipBlock(cursor, code, cursor.u16());
    case form.block4:
      return skipBlock(cursor, code, cursor.u32());
    case form.block:
    case form.expression:
      return skipBlock(cursor, code, cursor.uleb());
    case form.data16:
      return skipBlock(cursor, code, 16);
    case form.indirect: {
      const actual = cursor.uleb();
      // each level takes a byte: a chain of them ends with the bytes
      if (actual === form.indirect || actual === form.implicitConstant) {
        throw new DecodeError("an indirect form that leads nowhere", cursor.offset);
      }
      return readForm(cursor, actual, encoding);
    }
    default: {
      const size = formSize(code, encoding);
      if (size < 0) throw new DecodeError(`unknown form 0x${code.toString(16)}`, cursor.offset);
      return { form: code, value: cursor.unsigned(size) };
    }
  }
}

function skipBlock(cursor: Cursor, code: number, size: number): FormValue {
  cursor.skip(size);
  return { form: code, value: 0 };
}
